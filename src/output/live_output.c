/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   attached → begun → { a batch to be read }… → ended by its owner → the tail to be read → closed by its reader
 *
 * Interfaces hand over their packets in blocks, so with several of them a packet waits until all of about its time must
 * have come. Packets of one interface do not wait.
 */
#include "output/live_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "capture/consumer.h"
#include "capture/engine.h"
#include "capture/store.h"
#include "output/filter_text.h"
#include "output/host_info.h"
#include "output/live_queue.h"
#include "output/output_comments.h"
#include "output/statistics_comment.h"
#include "pcapng/capture_pieces.h"
#include "request/request.h"

struct live_interface {
	char *name;
	char statistics[STATISTICS_COMMENT_SIZE];
};

struct live_output {
	unsigned references;
	void (*changed)(void *ctx);
	void *changed_ctx;
	struct live_output_owner owner; /* closed is NULL: there is none */
	struct engine *engine;
	struct budget budget;
	struct live_queue *queue;
	struct capture_pieces *file; /* NULL: it has not begun */
	enum capture_file_format format;
	struct packet_interface *interfaces;
	struct live_interface *texts;
	size_t interface_count;
	char *filter;
	uint64_t lost;
	uint64_t packets, bytes; /* that the reader got, once the queue is gone */
	char name[CAPTURE_FILE_NAME_SIZE];
	enum live_output_state state;
	bool all_added; /* the owner has ended it */
	bool is_tail;	/* only the file's tail is left to read */
	bool closed;
};

struct live_output *live_output_new(void (*changed)(void *ctx), void *ctx)
{
	struct live_output *output = calloc(1, sizeof(*output));

	if (!output)
		return NULL;
	output->references = 1;
	output->changed = changed;
	output->changed_ctx = ctx;
	return output;
}

static void unref(struct live_output *output)
{
	if (--output->references)
		return;
	live_queue_free(output->queue);
	capture_pieces_free(output->file);
	for (size_t i = 0; i < output->interface_count; i++)
		free(output->texts[i].name);
	free(output->texts);
	free(output->interfaces);
	free(output->filter);
	free(output);
}

static void drop_packets(struct live_output *output)
{
	output->packets = live_output_packets(output);
	output->bytes = live_output_bytes(output);
	capture_pieces_free(take(output->file));
	live_queue_free(take(output->queue));
}

const char *live_output_name(const struct live_output *output)
{
	return output->name;
}

bool live_output_is_pcap(const struct live_output *output)
{
	return output->format == CAPTURE_FILE_PCAP;
}

enum live_output_state live_output_state(const struct live_output *output)
{
	return output->state;
}

void live_output_close(struct live_output *output)
{
	const struct live_output_owner owner = output->owner;

	output->closed = true;
	output->changed = NULL;
	drop_packets(output);
	if (owner.closed)
		owner.closed(owner.ctx, output->state == LIVE_OUTPUT_ENDED); /* it may detach */
	unref(output);
}

/* --- the owner --- */

bool live_output_attach(struct live_output *output, struct engine *engine, size_t budget_bytes, size_t parts,
			const struct request *request, struct live_output_owner owner)
{
	output->queue = live_queue_new(parts, request->packets, request->bytes);
	if (!output->queue)
		return false;
	output->engine = engine;
	engine_init_budget(engine, &output->budget, budget_bytes + parts * LIVE_OUTPUT_PART_BYTES);
	output->owner = owner;
	output->references++;
	return true;
}

void live_output_detach(struct live_output *output)
{
	if (!output)
		return;
	output->owner = (struct live_output_owner){0};
	drop_packets(output);
	unref(output);
}

bool live_output_is_closed(const struct live_output *output)
{
	return output->closed;
}

struct budget *live_output_budget(struct live_output *output)
{
	return &output->budget;
}

static void note_change(struct live_output *output)
{
	if (!output->file || output->closed)
		return;
	output->state = LIVE_OUTPUT_READY;
	output->changed(output->changed_ctx);
}

void live_output_add(struct live_output *output, size_t part, struct store *packets)
{
	const uint64_t count = packets->packets;

	if (!output->queue || live_queue_add(output->queue, part, packets) < 0) {
		output->lost += output->closed ? 0 : count;
		store_deinit(packets);
		return;
	}
	note_change(output);
}

static bool add_interfaces(struct live_output *output, const struct live_output_options *options)
{
	output->interfaces = calloc(options->part_count, sizeof(*output->interfaces));
	output->texts = calloc(options->part_count, sizeof(*output->texts));
	if (!output->interfaces || !output->texts ||
	    filter_text(options->request->required, options->request->bpf, &output->filter) < 0)
		return false;
	output->interface_count = options->part_count;
	for (size_t i = 0; i < options->part_count; i++) {
		const struct live_output_part *part = &options->parts[i];

		live_queue_set_interface(output->queue, part->part, (uint16_t)i);
		output->texts[i].name = strdup(part->interface);
		if (!output->texts[i].name)
			return false;
		output->interfaces[i] = (struct packet_interface){
			.name = output->texts[i].name,
			.filter = output->filter,
			.linktype = part->report->linktype,
			.snaplen = part->report->snaplen,
			.start_ns = part->report->from_ns,
		};
	}
	return true;
}

static bool add_comments(struct output_comments *comments, const struct live_output_options *options)
{
	const struct consumer_report *report = options->parts[0].report;
	char from[CLOCK_TEXT_SIZE], asked[CLOCK_TEXT_SIZE];
	bool ok = output_comments_add_request(comments, options->request, options->tags);

	ok = ok && output_comments_add(comments, "%s: from %s, asked from %s; node %s",
				       options->request->live ? "live" : "stream", clock_format(report->from_ns, from),
				       clock_format(report->asked_from_ns, asked), options->node);
	return ok && (!options->skipped || output_comments_add(comments, "skipped: %s", options->skipped));
}

int live_output_begin(struct live_output *output, const struct live_output_options *options)
{
	const struct request *request = options->request;
	cleanup(output_comments_deinit) struct output_comments comments = {0};
	struct capture_file_info info = {.interface_count = options->part_count};

	output->format = request->format == REQUEST_FORMAT_PCAP ? CAPTURE_FILE_PCAP : CAPTURE_FILE_PCAPNG;
	capture_file_name(output->name, options->node, options->interface, options->parts[0].report->from_ns,
			  options->file_id ? options->file_id : request->id, output->format);
	if (output->closed)
		return 0;
	if (add_interfaces(output, options) && add_comments(&comments, options)) {
		host_info_describe(&info);
		info.comments = (const char *const *)comments.texts;
		info.comment_count = comments.count;
		info.interfaces = output->interfaces;
		output->file = capture_pieces_new(output->format, &info);
	}
	if (output->file) {
		note_change(output);
		return 0;
	}
	output->state = LIVE_OUTPUT_FAILED;
	output->changed(output->changed_ctx);
	return -ENOMEM;
}

void live_output_end(struct live_output *output, const struct consumer_report *reports)
{
	for (size_t i = 0; i < output->interface_count; i++) {
		const struct consumer_report *report = &reports[i];
		struct packet_interface *interface = &output->interfaces[i];

		interface->received = report->received + report->lost_evicted;
		interface->dropped = report->lost_kernel + report->lost_evicted + report->lost_memory;
		interface->end_ns = report->to_ns;
		interface->comment = statistics_comment(report, 0, output->texts[i].statistics);
	}
	output->all_added = true;
	note_change(output);
}

bool live_output_add_statistics(struct live_output *output)
{
	if (!output->file || output->state != LIVE_OUTPUT_WAITING ||
	    capture_pieces_note(output->file, output->interfaces, clock_realtime_ns()) < 0 ||
	    !capture_pieces_left(output->file))
		return false;
	output->state = LIVE_OUTPUT_READY;
	return true;
}

uint64_t live_output_packets(const struct live_output *output)
{
	return output->queue ? live_queue_packets(output->queue) : output->packets;
}

uint64_t live_output_bytes(const struct live_output *output)
{
	return output->queue ? live_queue_bytes(output->queue) : output->bytes;
}

uint64_t live_output_lost(const struct live_output *output)
{
	return output->lost;
}

/* --- reading --- */

static uint64_t batch_end(const struct live_output *output)
{
	const bool orders = output->interface_count > 1 && !output->all_added;

	return orders ? clock_boottime_ns() - LIVE_OUTPUT_ORDER_MS * NS_PER_MS : UINT64_MAX;
}

/* All is read that there was: finds more. */
static enum live_output_state find_more(struct live_output *output)
{
	if (output->is_tail)
		return LIVE_OUTPUT_ENDED;
	const size_t used_bytes = atomic_load(&output->budget.used_bytes);
	live_queue_begin_batch(output->queue, batch_end(output));
	if (atomic_load(&output->budget.used_bytes) < used_bytes)
		engine_feed_has_room(output->engine);
	if (capture_pieces_add(output->file, live_queue_batch(output->queue)) < 0)
		return LIVE_OUTPUT_FAILED;
	if (capture_pieces_left(output->file))
		return LIVE_OUTPUT_READY;
	if (!output->all_added || !live_queue_is_empty(output->queue))
		return LIVE_OUTPUT_WAITING;
	output->is_tail = true;
	return capture_pieces_end(output->file, output->interfaces) < 0 ? LIVE_OUTPUT_FAILED : LIVE_OUTPUT_READY;
}

size_t live_output_read(struct live_output *output, uint8_t *into, size_t room)
{
	size_t got = 0;

	if (output->state == LIVE_OUTPUT_WAITING && output->file)
		output->state = LIVE_OUTPUT_READY; /* time may have passed */
	while (output->state == LIVE_OUTPUT_READY && got < room) {
		got += capture_pieces_read(output->file, into + got, room - got);
		if (!capture_pieces_left(output->file))
			output->state = find_more(output);
	}
	return got;
}
