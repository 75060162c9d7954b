/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time limits: a packet stamped before time T may still be queued before the ring, or lie in the kernel's open block.
 * So the engine acts on a limit `retire_delay_ns` after T, when no packet that comes can be from before T (arrival.h),
 * and once no open block holds one. Consumers then end at the number the timeline has reached, and judge each packet up
 * to there by its own time stamp. A capture on a silent link ends on time, on a busy one exactly.
 *
 * A recorder's source keeps its timeline full, whether or not consumers read it. Its ring survives the interface: when
 * an interface of that name comes back, the ring is bound to it and the time between is noted as an absence. If its
 * link type is another one, the ring stays as it is and another one is opened.
 */
#include "capture/source.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/packet.h"
#include "base/quantity.h"
#include "bpf/filter_union.h"
#include "capture/ring_size.h"

#define LIVE_RETIRE_MS 10
#define MANY_RETIRE_MS 60 /* with hundreds of rings their timers alone would keep a CPU busy */
#define CLOSING_THREADS 16
#define RECORDER_RETIRE_MS 60	     /* fewer blocks a second mean less to move at low rates */
#define PAUSE_RING_BYTES (128 * MIB) /* its reserve outlasts a pause of the ring thread at up to 60 Gbit/s */
#define EXPIRY_STEPS 128	     /* a packet is evicted within 1/128 of the time it may be kept */
#define EXPIRY_MIN_NS (100 * NS_PER_MS)
#define LOOK_NS (200 * NS_PER_MS)      /* on a quiet link: how exactly the opening of a block is known */
#define END_WAIT_NS (2 * NS_PER_S)     /* for a retire timer that is late */
#define END_RECHECK_NS (5 * NS_PER_MS) /* while an end waits */

size_t source_ring_bytes(const struct source *source)
{
	return ring_bytes(source->ring);
}

/* Two expiries of the retire timer before Linux 6.18, plus a margin for the scheduler; and no less than a packet may be
 * queued between its stamp and the ring. */
static uint64_t retire_delay(unsigned retire_ms)
{
	const uint64_t expiries_ns = (3 * retire_ms + 10) * NS_PER_MS;

	return expiries_ns > ARRIVAL_QUEUED_NS ? expiries_ns : ARRIVAL_QUEUED_NS;
}

static struct timeline_moment read_clocks(void *ctx)
{
	(void)ctx;
	return (struct timeline_moment){.boottime_ns = clock_boottime_ns(), .clock_offset_ns = clock_offset_ns()};
}

static int open_ring(const struct ring_options *options, const struct recorder *recorder, struct error *err,
		     struct source **result)
{
	cleanup(cleanup_source) struct source *source = calloc(1, sizeof(*source));

	if (!source)
		return error_set(err, -ENOMEM, "interface %s: out of memory", options->interface->name);
	int r = ring_open(options, err, &source->ring);
	if (r < 0)
		return r;
	source->timeline = timeline_new(&(struct timeline_options){
		.memory = source->ring->memory,
		.block_bytes = source->ring->block_bytes,
		.block_count = source->ring->block_count,
		.keep_history = recorder->on,
		.now = read_clocks,
		.extent_max_ns = recorder->max_age_ns ? recorder->max_age_ns / EXPIRY_STEPS : 0,
	});
	if (!source->timeline)
		return error_set(err, -ENOMEM, "interface %s: out of memory", options->interface->name);
	source->recorder = *recorder;
	memcpy(source->name, options->interface->name, sizeof(source->name));
	source->retire_delay_ns = retire_delay(options->retire_ms);
	source->filter_rate.burst = source->bind_rate.burst = 1;
	*result = take(source);
	return 0;
}

int source_open(const struct source_options *open, const struct ring_allocation *allocation, struct error *err,
		struct source **result)
{
	const struct ring_options options = {
		.interface = open->interface,
		.allocation = allocation,
		.blocks = ring_size_blocks,
		.bytes = open->ring_bytes,
		.least_bytes = RING_SIZE_MIN,
		.retire_ms = open->ring_bytes < RING_SIZE_MANY_MAX ? MANY_RETIRE_MS : LIVE_RETIRE_MS,
		.promiscuous = open->promiscuous,
	};

	return open_ring(&options, &(struct recorder){0}, err, result);
}

int source_open_recorder(const struct engine_recorder *options, const struct network_interface *interface,
			 const struct ring_allocation *allocation, struct error *err, struct source **result)
{
	struct recorder recorder = {
		.on = true,
		.promiscuous = options->promiscuous,
		.exclude_own = options->exclude_own,
		.max_age_ns = options->max_age_ns,
	};
	const struct retention_filter_options retention = {.bpf = options->bpf,
							   .netmask = ring_netmask(interface->name),
							   .snaplen = options->snaplen,
							   .headers = options->headers};
	const struct ring_options ring = {
		.interface = interface,
		.allocation = allocation,
		.blocks = ring_size_recorder_blocks,
		.bytes = options->memory_bytes,
		.least_bytes = RING_SIZE_RECORDER_MIN,
		.claims = options->claims,
		.retire_ms = RECORDER_RETIRE_MS,
		.promiscuous = options->promiscuous,
	};
	int r = retention_filter_new(&retention, link_type_read(interface).linktype, err, &recorder.retention);

	if (r < 0)
		return r;
	struct source *source = NULL;
	r = open_ring(&ring, &recorder, err, &source);
	if (r < 0) {
		retention_filter_free(recorder.retention);
		return r;
	}
	cleanup(cleanup_free) struct sock_filter *program = calloc(FILTER_UNION_MAX, sizeof(*program));
	r = program ? source_attach_filter(source, program, source_build_filter(source, program)) : -ENOMEM;
	if (r < 0)
		error_set(err, r, "interface %s: kernel filter: %s", interface->name, strerror(-r));
	else
		r = ring_start(source->ring, err);
	if (r < 0)
		source_close(source);
	else
		*result = source;
	return r;
}

void source_close(struct source *source)
{
	if (!source)
		return;
	timeline_free(source->timeline);
	ring_close(source->ring);
	retention_filter_free(source->recorder.retention);
	filter_free(source->own_traffic);
	free(source);
}

/* The sources that the closing threads have left. */
struct closing {
	pthread_mutex_t lock;
	struct source *next;
};

static void *close_some(void *arg)
{
	struct closing *closing = arg;
	struct source *source;

	do {
		pthread_mutex_lock(&closing->lock);
		source = closing->next;
		closing->next = source ? source->next : NULL;
		pthread_mutex_unlock(&closing->lock);
		source_close(source);
	} while (source);
	return NULL;
}

void source_close_all(struct source *sources)
{
	struct closing closing = {.lock = PTHREAD_MUTEX_INITIALIZER, .next = sources};
	pthread_t threads[CLOSING_THREADS];
	unsigned wanted = 0, count = 0;

	for (const struct source *source = sources; source && wanted < CLOSING_THREADS; source = source->next)
		wanted++;
	while (count + 1 < wanted && pthread_create(&threads[count], NULL, close_some, &closing) == 0)
		count++;
	close_some(&closing);
	while (count)
		pthread_join(threads[--count], NULL);
}

bool source_is_idle(const struct source *source)
{
	return !source->recorder.on && !source->consumers && !source->pins && source->idle_since_ns;
}

/* --- the kernel filter --- */

size_t source_build_filter(const struct source *source, struct sock_filter *program)
{
	struct filter_want wants[ENGINE_CONSUMERS_MAX + 1];
	size_t count = 0;

	if (source->retyped) {
		*program = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
		return 1;
	}
	for (const struct consumer *consumer = source->consumers; consumer; consumer = consumer->next)
		wants[count++] = (struct filter_want){.filter = consumer->filter, .snaplen = consumer->cursor.snaplen};
	if (source->recorder.on && !source->recorder.retention)
		wants[count++] = (struct filter_want){.snaplen = PACKET_SNAPLEN_MAX};
	const struct filter_union_options options = {
		.retention = source->recorder.retention,
		.exclude = source->own_traffic,
		.loopback = source->ring->loopback,
	};
	return filter_union(wants, count, &options, program);
}

/* Every packet, but on loopback only one copy of each. */
static size_t build_fallback_filter(const struct source *source, struct sock_filter *program)
{
	const struct filter_want everything = {.snaplen = PACKET_SNAPLEN_MAX};

	return filter_union(&everything, 1, &(struct filter_union_options){.loopback = source->ring->loopback},
			    program);
}

int source_attach_filter(struct source *source, struct sock_filter *program, size_t size)
{
	if (!size && !source->filtered)
		return 0;
	const struct sock_fprog kernel_program = {.len = (unsigned short)size, .filter = program};
	int r = ring_set_filter(source->ring, size ? &kernel_program : NULL);
	if (r < 0 && size) {
		/* The filter only saves work: consumers are correct without it. */
		uint64_t suppressed;

		if (log_rate_allow(&source->filter_rate, &suppressed))
			log_notice("kernel-filter-too-large", log_str("interface", source->ring->name),
				   log_uint("instructions", size), log_str("error", strerror(-r)),
				   log_str("hint", "sysctl net.core.optmem_max"));
		size = build_fallback_filter(source, program);
		r = ring_set_filter(source->ring,
				    size ? &(struct sock_fprog){.len = (unsigned short)size, .filter = program} : NULL);
	}
	if (r == 0)
		source->filtered = size > 0;
	return r;
}

/* --- what the ring thread does --- */

static bool collect_block(struct source *source, pthread_mutex_t *lock)
{
	const bool keep_history = source->recorder.on;

	if (!keep_history)
		pthread_mutex_lock(lock);
	const bool retired = timeline_retire(source->timeline);
	if (keep_history && retired)
		pthread_mutex_lock(lock);
	if (retired) {
		ring_update_dropped(source->ring);
		timeline_publish(source->timeline, source->ring->dropped);
	}
	if (!keep_history || retired)
		pthread_mutex_unlock(lock);
	return retired;
}

bool source_is_small(const struct source *source)
{
	return source_ring_bytes(source) < PAUSE_RING_BYTES;
}

bool source_collect(struct source *source, pthread_mutex_t *lock)
{
	source->batch = 0;
	while (collect_block(source, lock))
		source->batch++;
	return source->batch > 0;
}

static uint64_t end_limit(const struct consumer *consumer)
{
	return atomic_load_explicit(&consumer->cursor.until_ns, memory_order_relaxed);
}

/* When the idle limit is reached if nothing more matches. */
static uint64_t idle_end(const struct consumer *consumer)
{
	const struct cursor *cursor = &consumer->cursor;

	return cursor->idle_ns ? atomic_load_explicit(&cursor->last_match_ns, memory_order_relaxed) + cursor->idle_ns
			       : UINT64_MAX;
}

static uint64_t next_end(const struct consumer *consumer)
{
	const uint64_t idle_ns = idle_end(consumer);

	return idle_ns < end_limit(consumer) ? idle_ns : end_limit(consumer);
}

uint64_t source_deadline(const struct source *source, const struct consumer *consumer)
{
	if (!consumer->armed || consumer->holds_place || consumer->end_number != NUMBER_NONE)
		return UINT64_MAX;
	const uint64_t end_ns = next_end(consumer);
	return end_ns > UINT64_MAX - source->retire_delay_ns ? UINT64_MAX : end_ns + source->retire_delay_ns;
}

static uint64_t next_expiry(const struct source *source, uint64_t now_ns)
{
	const uint64_t oldest_ns = source->recorder.max_age_ns ? timeline_oldest_end(source->timeline) : 0;

	if (!oldest_ns)
		return UINT64_MAX;
	const uint64_t due_ns = oldest_ns + source->recorder.max_age_ns;
	return due_ns > now_ns + EXPIRY_MIN_NS ? due_ns : now_ns + EXPIRY_MIN_NS;
}

uint64_t source_next_deadline(const struct source *source)
{
	const uint64_t now_ns = clock_boottime_ns();
	uint64_t next_ns = next_expiry(source, now_ns);

	if (source->recorder.on && source->recorder.max_age_ns && next_ns > now_ns + source->recorder.max_age_ns)
		next_ns = now_ns + source->recorder.max_age_ns; /* packets that arrive until then are no older */
	if (source->recorder.on && source->gone && source->retry_ns && source->retry_ns < next_ns)
		next_ns = source->retry_ns;
	if (!source->recorder.on && !source->consumers && source->idle_since_ns &&
	    source->idle_since_ns + SOURCE_LINGER_NS < next_ns)
		next_ns = source->idle_since_ns + SOURCE_LINGER_NS;
	if ((source->recorder.on || source->consumers) && now_ns + LOOK_NS < next_ns)
		next_ns = now_ns + LOOK_NS;
	for (const struct consumer *consumer = source->consumers; consumer; consumer = consumer->next) {
		const uint64_t deadline_ns = source_deadline(source, consumer);

		if (deadline_ns <= now_ns && now_ns + END_RECHECK_NS < next_ns)
			next_ns = now_ns + END_RECHECK_NS;
		else if (deadline_ns > now_ns && deadline_ns < next_ns)
			next_ns = deadline_ns;
	}
	return next_ns;
}

/*
 * Whether an end has to wait: the kernel's open block may still hold packets of the window, because its retire timer is
 * late (a stolen CPU, a paused guest, a real-time kernel). After END_WAIT_NS the end does not wait any longer, and is
 * uncertain.
 */
static bool must_wait_for_block(const struct source *source, struct consumer *consumer, uint64_t end_ns,
				uint64_t now_ns)
{
	if (!timeline_open_block_may_hold(source->timeline, end_ns))
		return false;
	if (now_ns < end_ns + source->retire_delay_ns + END_WAIT_NS)
		return true;
	consumer->end_uncertain = true;
	return false;
}

static void set_end(const struct source *source, struct consumer *consumer, enum end_reason reason, uint64_t now_ns)
{
	consumer->end_number = timeline_next_number(source->timeline);
	consumer->end_reason = reason;
	consumer->end_set_ns = now_ns;
	consumer->end_dropped = source->ring->dropped;
}

void source_check_deadlines(struct source *source, uint64_t now_ns)
{
	bool drops_updated = false;

	if (source->gone && source->retry_ns && source->retry_ns <= now_ns) {
		source->retry_ns = 0;
		source->came_back = source->recorder.on && !source->displaced;
	}
	if (source->recorder.max_age_ns && now_ns > source->recorder.max_age_ns)
		timeline_expire(source->timeline, now_ns - source->recorder.max_age_ns);
	for (struct consumer *consumer = source->consumers; consumer; consumer = consumer->next) {
		if (source_deadline(source, consumer) > now_ns ||
		    must_wait_for_block(source, consumer, next_end(consumer), now_ns))
			continue;
		/* When the kernel fills no blocks, nothing else updates the count. */
		if (!drops_updated)
			ring_update_dropped(source->ring);
		drops_updated = true;
		const bool time_is_up = end_limit(consumer) + source->retire_delay_ns <= now_ns;
		set_end(source, consumer, time_is_up ? END_UNTIL : END_IDLE, now_ns);
	}
}

/* --- interfaces that go away and come back --- */

void source_mark_gone(struct source *source, bool retyped, uint64_t now_ns)
{
	source->gone = true;
	source->retyped = retyped;
	source->filter_outdated |= retyped;
	if (!source->consumers)
		source->idle_since_ns = now_ns;
	if (source->absence_count == SOURCE_ABSENCES_MAX) {
		source->absences[1].from_ns = source->absences[0].from_ns;
		memmove(source->absences, source->absences + 1, sizeof(source->absences) - sizeof(*source->absences));
		source->absence_count--;
	}
	source->absences[source->absence_count++] = (struct absence){.from_ns = now_ns};
	for (struct consumer *consumer = source->consumers; consumer; consumer = consumer->next)
		consumer_end_at(consumer, now_ns, END_INTERFACE_GONE);
}

void source_mark_back(struct source *source, uint64_t now_ns)
{
	source->gone = false;
	source->filter_outdated |= source->retyped; /* it has rejected everything since */
	source->retyped = false;
	if (source->absence_count)
		source->absences[source->absence_count - 1].to_ns = now_ns;
}

bool source_is_of(const struct source *source, const struct network_interface *device)
{
	return source->ring->ifindex == device->index && link_type_is_same(source->ring->hardware, device->hardware);
}

uint64_t source_gone_since(const struct source *source)
{
	return source->gone && source->absence_count ? source->absences[source->absence_count - 1].from_ns : 0;
}

bool source_was_away(const struct source *source, uint64_t from_ns, uint64_t to_ns)
{
	for (unsigned i = 0; i < source->absence_count; i++) {
		const struct absence *absence = &source->absences[i];

		if (absence->from_ns < to_ns && (!absence->to_ns || absence->to_ns > from_ns))
			return true;
	}
	return false;
}

/* --- consumers --- */

static uint64_t younger_than_max_age(const struct source *source, uint64_t since_ns, uint64_t now_ns)
{
	const uint64_t max_age_ns = source->recorder.max_age_ns;

	return max_age_ns && now_ns - since_ns > max_age_ns ? now_ns - max_age_ns : since_ns;
}

uint64_t source_reachable_since(const struct source *source, uint64_t now_ns)
{
	if (!source->recorder.on)
		return now_ns;
	return younger_than_max_age(source, timeline_complete_since(source->timeline), now_ns);
}

/* Where history begins. It is certain to be complete only later if the ring thread was late: then a block's packets may
 * have arrived at any time until it ran. */
static uint64_t history_begin(const struct source *source, uint64_t now_ns)
{
	const uint64_t complete_ns = timeline_complete_since(source->timeline);
	const uint64_t oldest_ns = timeline_oldest_arrival(source->timeline);

	if (!source->recorder.on)
		return now_ns;
	return younger_than_max_age(source, oldest_ns < complete_ns ? oldest_ns : complete_ns, now_ns);
}

/* Boot time at which the interface came back last; 0: it never did. Before, another device may have had its name. */
static uint64_t last_return(const struct source *source)
{
	uint64_t last_ns = 0;

	for (unsigned i = 0; i < source->absence_count; i++)
		last_ns = source->absences[i].to_ns > last_ns ? source->absences[i].to_ns : last_ns;
	return last_ns;
}

static uint64_t to_boottime(uint64_t real_ns, int64_t clock_offset_ns)
{
	const int64_t boot_ns = (int64_t)real_ns - clock_offset_ns;

	return boot_ns > 0 ? (uint64_t)boot_ns : 0;
}

void source_start_consumer(struct source *source, struct consumer *consumer, uint64_t now_ns, int64_t clock_offset_ns)
{
	struct cursor *cursor = &consumer->cursor;
	const int64_t asked_ns = consumer->from_real_ns ? (int64_t)consumer->from_real_ns - clock_offset_ns
							: (int64_t)(now_ns - consumer->before_ns);
	uint64_t begin_limit_ns = history_begin(source, now_ns);

	if (consumer->own_only && last_return(source) > begin_limit_ns)
		begin_limit_ns = last_return(source);
	if (consumer->not_before_ns > begin_limit_ns)
		begin_limit_ns = consumer->not_before_ns;
	const int64_t begin_ns = (int64_t)begin_limit_ns;
	const uint64_t start_ns = asked_ns > (int64_t)now_ns ? (uint64_t)asked_ns : now_ns;
	struct timeline_position position = {.number = timeline_next_number(source->timeline),
					     .dropped = source->ring->dropped};

	consumer->asked_from_ns = asked_ns;
	consumer->begin_uncertain = asked_ns < (int64_t)source_reachable_since(source, now_ns);
	cursor->from_ns = (uint64_t)(asked_ns > begin_ns ? asked_ns : begin_ns);
	if (cursor->from_ns < now_ns)
		position = timeline_find(source->timeline, cursor->from_ns - TIMELINE_ORDER_SLACK_NS);
	cursor->dropped_marked = position.dropped;
	if (consumer->resume.number > position.number) {
		cursor->dropped_marked = consumer->resume.dropped_marked;
		cursor->missing = consumer->resume.missing;
		position = (struct timeline_position){.number = consumer->resume.number,
						      .dropped = consumer->resume.dropped};
	}
	cursor->retention = source->recorder.retention;
	consumer->retention_may_hide =
		cursor->from_ns < now_ns && retention_filter_may_hide(source->recorder.retention, consumer->filter);
	cursor->retention_until_ns = now_ns;
	consumer->needed = consumer->position = cursor->next_number = position.number;
	cursor->dropped_at_start = cursor->dropped_seen = position.dropped;
	const uint64_t until_ns = consumer->to_real_ns ? to_boottime(consumer->to_real_ns, clock_offset_ns)
				  : consumer->until_ns ? consumer->until_ns
						       : start_ns + consumer->duration_ns;
	consumer->series_until_ns = until_ns;
	consumer_set_part_end(consumer, cursor->from_ns);
	/* Quiet periods in history do not end a consumer: the idle limit counts from now. */
	atomic_store_explicit(&cursor->last_match_ns, start_ns, memory_order_relaxed);
	consumer->linktype = source->ring->type.linktype;
	consumer->live_number = timeline_next_number(source->timeline);
	consumer->armed = true;
	if (source->gone)
		consumer_end_at(consumer, now_ns, END_INTERFACE_GONE);
}

bool source_runnable(const struct source *source, const struct consumer *consumer)
{
	if (!consumer->armed || consumer->holds_place || consumer->busy ||
	    (consumer_must_wait(consumer) && !consumer_may_hand_over(consumer)))
		return false;
	return consumer->position < timeline_next_number(source->timeline) ||
	       consumer->position >= consumer->end_number || consumer_may_hand_over(consumer);
}

void source_trim(struct source *source)
{
	uint64_t needed = timeline_next_number(source->timeline);

	if (source->recorder.on)
		return;
	for (const struct consumer *consumer = source->consumers; consumer; consumer = consumer->next) {
		if (consumer->armed && consumer->needed < needed)
			needed = consumer->needed;
	}
	timeline_trim(source->timeline, needed);
}
