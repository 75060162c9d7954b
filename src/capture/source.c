/*
 * Time limits and flushing: a packet stamped before a moment T may still lie in the kernel's open block. So a time
 * limit is acted on SOURCE_FLUSH_NS after T, when that block has been retired for certain; the captures then end at the
 * number the timeline has reached, and judge each packet up to there by its own time stamp. A silent link ends on time,
 * a busy one exactly.
 */
#include "capture/source.h"

#include <errno.h>
#include <linux/filter.h>

#include "base/clock.h"

#define LIVE_BLOCK_SIZE (1u << 20)
#define LIVE_BLOCKS 64
#define SMALL_BLOCKS 32 /* of RING_BLOCK_SIZE_MIN, once half of ENGINE_RINGS_BYTES is taken */

size_t source_bytes(const struct source *source)
{
	return (size_t)source->ring->block_size * source->ring->block_count;
}

int source_open(const char *interface, bool promiscuous, size_t ring_bytes, struct error *err, struct source **result)
{
	const bool small = ring_bytes > ENGINE_RINGS_BYTES / 2;
	const struct ring_options options = {
		.interface = interface,
		.block_size = small ? RING_BLOCK_SIZE_MIN : LIVE_BLOCK_SIZE,
		.block_count = small ? SMALL_BLOCKS : LIVE_BLOCKS,
		.retire_ms = SOURCE_RETIRE_MS,
		.promiscuous = promiscuous,
	};
	if (ring_bytes + (size_t)options.block_size * options.block_count > ENGINE_RINGS_BYTES)
		return error_set(err, -ENOMEM,
				 "interface %s: the rings of other interfaces take all %u MiB there are for rings",
				 interface, ENGINE_RINGS_BYTES >> 20);
	cleanup(cleanup_source) struct source *source = calloc(1, sizeof(*source));
	if (!source)
		return error_set(err, -ENOMEM, "interface %s: out of memory", interface);
	int r = ring_open(&options, err, &source->ring);
	if (r < 0)
		return r;
	source->timeline = timeline_new(&(struct timeline_options){
		.memory = source->ring->memory,
		.block_size = source->ring->block_size,
		.block_count = source->ring->block_count,
	});
	if (!source->timeline)
		return error_set(err, -ENOMEM, "interface %s: out of memory", interface);
	*result = take(source);
	return 0;
}

void source_close(struct source *source)
{
	if (!source)
		return;
	timeline_free(source->timeline);
	ring_close(source->ring);
	free(source);
}

size_t source_union(const struct source *source, struct sock_filter *program)
{
	struct filter_want wants[ENGINE_CAPTURES_MAX];
	size_t count = 0;
	for (const struct capture *capture = source->captures; capture; capture = capture->next)
		wants[count++] = (struct filter_want){.filter = capture->filter, .snaplen = capture->cursor.snaplen};
	return filter_union(wants, count, source->ring->loopback, program);
}

int source_apply(struct source *source, struct sock_filter *program, size_t size)
{
	if (!size && !source->filtered)
		return 0;
	const struct sock_fprog kernel_program = {.len = (unsigned short)size, .filter = program};
	int r = ring_set_filter(source->ring, size ? &kernel_program : NULL);
	if (r < 0 && size)
		r = ring_set_filter(source->ring,
				    NULL); /* a filter only spares work: without it the captures still are right */
	if (r == 0)
		source->filtered = size > 0;
	return r;
}

bool source_collect(struct source *source, pthread_mutex_t *lock)
{
	bool any = false;
	while (timeline_retire(source->timeline)) {
		const int64_t offset_ns = clock_offset_ns();
		pthread_mutex_lock(lock);
		ring_update_dropped(source->ring);
		timeline_publish(source->timeline, source->ring->dropped, offset_ns);
		pthread_mutex_unlock(lock);
		any = true;
	}
	return any;
}

/* When the idle limit is up if nothing more matches. */
static uint64_t idle_end(const struct capture *capture)
{
	const struct cursor *cursor = &capture->cursor;
	return cursor->idle_ns ? atomic_load_explicit(&cursor->active_ns, memory_order_relaxed) + cursor->idle_ns
			       : UINT64_MAX;
}

uint64_t source_deadline(const struct capture *capture)
{
	if (!capture->armed || capture->flush_number != NUMBER_NONE)
		return UINT64_MAX;
	uint64_t end_ns = capture->cursor.until_ns;
	if (capture->stop_reason != CAPTURE_RUNNING && capture->stop_ns < end_ns)
		end_ns = capture->stop_ns;
	const uint64_t idle_ns = idle_end(capture);
	end_ns = idle_ns < end_ns ? idle_ns : end_ns;
	return end_ns > UINT64_MAX - SOURCE_FLUSH_NS ? UINT64_MAX : end_ns + SOURCE_FLUSH_NS;
}

static void flush(const struct source *source, struct capture *capture, enum capture_reason reason, uint64_t now_ns)
{
	capture->flush_number = timeline_next_number(source->timeline);
	capture->flush_reason = reason;
	capture->flush_ns = now_ns;
	capture->flush_dropped = source->ring->dropped;
}

void source_flush_due(struct source *source, uint64_t now_ns)
{
	for (struct capture *capture = source->captures; capture; capture = capture->next) {
		if (source_deadline(capture) > now_ns)
			continue;
		if (capture->cursor.until_ns + SOURCE_FLUSH_NS <= now_ns)
			flush(source, capture, capture->cursor.until_reason, now_ns);
		else if (capture->stop_reason != CAPTURE_RUNNING)
			flush(source, capture, capture->stop_reason, now_ns);
		else
			flush(source, capture, CAPTURE_IDLE, now_ns);
	}
}

void source_mark_gone(struct source *source, uint64_t now_ns)
{
	source->gone = true;
	if (!source->captures)
		source->idle_since_ns = now_ns;
	for (struct capture *capture = source->captures; capture; capture = capture->next) {
		if (capture->flush_number == NUMBER_NONE || capture->flush_reason == CAPTURE_IDLE)
			flush(source, capture, CAPTURE_INTERFACE_GONE, now_ns);
	}
}

bool source_runnable(const struct source *source, const struct capture *capture)
{
	if (!capture->armed || capture->busy)
		return false;
	return capture->position < timeline_next_number(source->timeline) || capture->position >= capture->flush_number;
}

void source_trim(struct source *source)
{
	uint64_t needed = timeline_next_number(source->timeline);
	for (const struct capture *capture = source->captures; capture; capture = capture->next) {
		if (capture->armed && capture->position < needed)
			needed = capture->position;
	}
	timeline_trim(source->timeline, needed);
}
