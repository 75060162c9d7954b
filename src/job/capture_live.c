/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   armed: the file begins → packets come, the client reads → every part has ended → the client has read the end →
 * final
 *
 * The client may go at any time: a running capture is stopped then, one that has ended is final at once.
 */
#include "job/capture_live.h"

#include <errno.h>

#include "base/log.h"
#include "config/config.h"
#include "job/capture_stream.h"
#include "output/live_output.h"

#define CLIENT_LEFT_TEXT "the client left before the end"
#define CLIENT_SLOW_TEXT "the daemon was stopped before the client had read everything"

/* --- the client --- */

static void on_closed(void *ctx, bool whole)
{
	struct capture *capture = ctx;

	if (capture->final_published)
		return;
	if (!whole)
		log_info("live-client-left", log_str("request", capture->request->id), log_str("capture", capture->id));
	if (capture->live_ended)
		capture_finish_live(capture, whole ? NULL : CLIENT_LEFT_TEXT);
	else
		(void)capture_stop(capture);
}

bool capture_live_attach(struct capture *capture, struct live_output *output, size_t budget_bytes, size_t parts)
{
	const struct live_output_owner owner = {.closed = capture->stream ? NULL : on_closed, .ctx = capture};

	if (!live_output_attach(output, capture->deps->engine, budget_bytes, parts, capture->request, owner))
		return false;
	capture->live = output;
	return true;
}

/* --- packets --- */

static void on_packets(void *ctx, struct store *packets)
{
	struct capture_part *part = ctx;

	live_output_add(part->capture->live, part->live_index, packets);
}

void capture_live_fill_spec(struct capture_part *part, struct consumer_spec *spec)
{
	part->feed = (struct consumer_feed){
		.budget = live_output_budget(part->capture->live),
		.handler = on_packets,
	};
	spec->feed = &part->feed;
}

static int begin(struct capture *capture, const char *skipped)
{
	cleanup(cleanup_free) struct live_output_part *parts = calloc(capture->part_count, sizeof(*parts));
	cleanup(cleanup_free) struct consumer_report *reports = calloc(capture->part_count, sizeof(*reports));

	if (!parts || !reports)
		return -ENOMEM;
	for (size_t i = 0; i < capture->part_count; i++) {
		const struct capture_part *part = capture->parts[i];

		consumer_report(part->consumer, &reports[i]);
		parts[i] = (struct live_output_part){.part = part->live_index,
						     .interface = part->interface,
						     .report = &reports[i]};
	}
	const struct live_output_options options = {
		.request = capture->request,
		.node = capture->deps->config->general.node,
		.interface = capture->name,
		.file_id = capture->request->files ? capture->id : NULL,
		.tags = capture->tags,
		.skipped = skipped,
		.parts = parts,
		.part_count = capture->part_count,
	};
	return live_output_begin(capture->live, &options);
}

void capture_live_begin(struct capture *capture)
{
	cleanup(cleanup_free) char *skipped = skipped_text(&capture->skipped);

	if (begin(capture, skipped) < 0 || (capture->stream && !capture_stream_begin(capture))) {
		log_error("live-not-begun", log_str("request", capture->request->id),
			  log_str("error", "out of memory"));
		(void)capture_stop(capture);
	}
	snprintf(capture->output_file.name, sizeof(capture->output_file.name), "%s", live_output_name(capture->live));
}

void capture_live_end(struct capture *capture)
{
	cleanup(cleanup_free) struct consumer_report *reports = calloc(capture->part_count, sizeof(*reports));

	capture->live_ended = true;
	for (size_t i = 0; reports && i < capture->part_count; i++)
		consumer_report(capture->parts[i]->consumer, &reports[i]);
	if (reports && capture->stream)
		live_output_end(capture->live, reports);
	if (capture->stream)
		capture_stream_end(capture);
	else if (live_output_is_closed(capture->live))
		capture_finish_live(capture, CLIENT_LEFT_TEXT);
	else if (capture->abandoned || !reports)
		capture_finish_live(capture, capture->abandoned ? CLIENT_SLOW_TEXT : "out of memory");
	else
		live_output_end(capture->live, reports);
}

void capture_live_abandon(struct capture *capture)
{
	if (capture->live_ended && capture->stream)
		capture_stream_abandon(capture);
	else if (capture->live_ended)
		capture_finish_live(capture, CLIENT_SLOW_TEXT);
}
