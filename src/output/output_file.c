/* SPDX-License-Identifier: BSD-2-Clause */
/* Each reader gets its own capture file over the same packets: a few hundred bytes of state, no copy. */
#include "output/output_file.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "output/filter_text.h"
#include "output/host_info.h"

#define FILTER_SNAP_MIN 64 /* bytes of a packet: two VLAN tags and an IPv6 header */

/* One reader of the output file. */
struct file_reader {
	struct store_merge *packets;
	struct capture_file *file;
	struct byte_stream bytes;
};

static size_t read_file(void *ctx, uint8_t *into, size_t room)
{
	struct file_reader *reader = ctx;

	return reader->bytes.read(reader->bytes.ctx, into, room);
}

static void rewind_file(void *ctx)
{
	struct file_reader *reader = ctx;

	reader->bytes.rewind(reader->bytes.ctx);
}

static void free_reader(struct file_reader *reader)
{
	capture_file_free(reader->file);
	store_merge_free(reader->packets);
	free(reader);
}

CLEANUP_DEFINE(file_reader, struct file_reader, free_reader)

static bool open_reader(void *ctx, struct byte_stream *stream)
{
	const struct output_file *output = ctx;
	cleanup(cleanup_file_reader) struct file_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return false;
	reader->packets = store_merge_new(output->stores, output->part_count, &output->limits);
	if (!reader->packets)
		return false;
	reader->file = capture_file_new(output->format, &output->info, store_merge_source(reader->packets));
	if (!reader->file)
		return false;
	reader->bytes = capture_file_stream(reader->file);
	*stream = (struct byte_stream){.size_bytes = reader->bytes.size_bytes,
				       .read = read_file,
				       .rewind = rewind_file,
				       .ctx = take(reader)};
	return true;
}

static void close_reader(void *ctx, struct byte_stream *stream)
{
	(void)ctx;
	free_reader(stream->ctx);
}

static bool add_window(struct output_comments *comments, const struct consumer_report *report)
{
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], asked[2][CLOCK_TEXT_SIZE];

	return output_comments_add(
		comments,
		"window: %s to %s, asked from %s to %s, %s; lost: kernel %llu, evicted %llu, memory %s%llu; "
		"%llu packets passed",
		clock_format(report->from_ns, from), clock_format(report->to_ns, to),
		clock_format(report->asked_from_ns, asked[0]), clock_format(report->asked_to_ns, asked[1]),
		report->complete ? "complete" : "incomplete", (unsigned long long)report->lost_kernel,
		(unsigned long long)report->lost_evicted, report->reason == END_MEMORY ? "at least " : "",
		(unsigned long long)report->lost_memory, (unsigned long long)report->seen);
}

static bool add_comments(struct output_file *output, const struct output_file_options *options)
{
	struct output_comments *comments = &output->comments;
	bool ok = output_comments_add_request(comments, options->request, options->tags);

	ok = ok && add_window(comments, options->report);
	if (options->skipped)
		ok = ok && output_comments_add(comments, "skipped: %s", options->skipped);
	if (options->duplicates)
		ok = ok && output_comments_add(comments, "duplicates: %llu left out",
					       (unsigned long long)duplicates_count(options->duplicates));
	return ok && output_comments_add(comments, "ended: %s", end_reason_name(options->report->reason));
}

static bool add_parts(struct output_file *output, const struct output_file_options *options)
{
	output->interfaces = calloc(options->part_count, sizeof(*output->interfaces));
	output->stores = calloc(options->part_count, sizeof(*output->stores));
	output->statistics = calloc(options->part_count, sizeof(*output->statistics));
	if (!output->interfaces || !output->stores || !output->statistics)
		return false;
	if (filter_text(options->request->required, options->request->bpf, &output->filter) < 0)
		return false;
	output->part_count = options->part_count;
	for (size_t i = 0; i < options->part_count; i++) {
		const struct output_part *part = &options->parts[i];

		output->stores[i] = part->store;
		output->interfaces[i] = (struct packet_interface){
			.name = part->interface,
			.filter = output->filter,
			.linktype = part->report.linktype,
			.snaplen = part->report.snaplen,
			.received = part->report.received,
			.dropped = part->report.lost_kernel,
			.start_ns = part->report.from_ns,
			.end_ns = part->report.to_ns,
			.comment = statistics_comment(&part->report, duplicates_of(options->duplicates, i),
						      output->statistics[i]),
		};
	}
	return true;
}

int output_file_init(struct output_file *output, const struct output_file_options *options)
{
	const struct request *request = options->request;

	*output = (struct output_file){
		.limits = {.packets = request->packets, .bytes = request->bytes, .duplicates = options->duplicates}};
	output->format = request->format == REQUEST_FORMAT_PCAP ? CAPTURE_FILE_PCAP : CAPTURE_FILE_PCAPNG;
	if (!add_parts(output, options) || !add_comments(output, options)) {
		output_file_deinit(output);
		return -ENOMEM;
	}
	host_info_describe(&output->info);
	output->info.comments = (const char *const *)output->comments.texts;
	output->info.comment_count = output->comments.count;
	output->info.interfaces = output->interfaces;
	output->info.interface_count = output->part_count;
	capture_file_name(output->name, options->node, options->interface, options->report->from_ns,
			  options->file_id ? options->file_id : request->id, output->format);
	output->file = (struct sink_file){
		.name = output->name,
		.tags = options->tags,
		.comment = request->comment,
		.customer = request->customer,
		.filter = request->snap >= FILTER_SNAP_MIN ? request->bpf : NULL,
		.id = request->id,
		.capture = options->capture,
		.node = options->node,
		.interface = options->interface,
		.time_ns = options->report->from_ns,
		.overrides = {.bucket = request->s3.bucket,
			      .folder = request->s3.folder,
			      .region = request->s3.region,
			      .endpoint = request->s3.endpoint,
			      .acl = request->s3.acl,
			      .encryption = request->s3.encryption},
		.ctx = output,
		.open = open_reader,
		.close = close_reader,
	};
	return 0;
}

void output_file_deinit(struct output_file *output)
{
	output_comments_deinit(&output->comments);
	free(take(output->interfaces));
	free(take(output->filter));
	free(take(output->stores));
	free(take(output->statistics));
}
