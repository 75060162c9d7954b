/* Every reader gets a file of its own over the same packets: a few hundred bytes of state, no copy. */
#include "output/output_file.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "output/host_info.h"

/* One reader of the image. */
struct opened {
	struct merge *packets;
	struct capture_file *file;
	struct byte_stream bytes;
};

static size_t read_opened(void *ctx, uint8_t *into, size_t room)
{
	struct opened *opened = ctx;
	return opened->bytes.read(opened->bytes.ctx, into, room);
}

static void rewind_opened(void *ctx)
{
	struct opened *opened = ctx;
	opened->bytes.rewind(opened->bytes.ctx);
}

static void free_opened(struct opened *opened)
{
	capture_file_free(opened->file);
	merge_free(opened->packets);
	free(opened);
}

CLEANUP_DEFINE(opened, struct opened, free_opened)

static bool open_image(void *ctx, struct byte_stream *stream)
{
	const struct image *image = ctx;
	cleanup(cleanup_opened) struct opened *opened = calloc(1, sizeof(*opened));
	if (!opened)
		return false;
	opened->packets = merge_new(image->stores, image->part_count, &image->limits);
	if (!opened->packets)
		return false;
	opened->file = capture_file_new(image->format, &image->info, merge_source(opened->packets));
	if (!opened->file)
		return false;
	opened->bytes = capture_file_stream(opened->file);
	*stream = (struct byte_stream){.size_bytes = opened->bytes.size_bytes,
				       .read = read_opened,
				       .rewind = rewind_opened,
				       .ctx = take(opened)};
	return true;
}

static void close_image(void *ctx, struct byte_stream *stream)
{
	(void)ctx;
	free_opened(stream->ctx);
}

static bool add_comment(struct image *image, const char *format, ...) printf_like(2, 3);

static bool add_comment(struct image *image, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	char *text = NULL;
	const int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return false;
	image->comments[image->info.comment_count++] = text;
	return true;
}

static bool add_window(struct image *image, const struct consumer_report *report)
{
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], asked[CLOCK_TEXT_SIZE];
	return add_comment(image, "window: %s to %s, asked from %s, %s; lost: kernel %llu, evicted %llu, memory %llu",
			   clock_format(report->from_ns, from), clock_format(report->to_ns, to),
			   clock_format(report->asked_from_ns, asked), report->complete ? "complete" : "incomplete",
			   (unsigned long long)report->lost_kernel, (unsigned long long)report->lost_evicted,
			   (unsigned long long)report->lost_memory);
}

static bool add_comments(struct image *image, const struct request *request, const char *tags,
			 const struct consumer_report *report)
{
	bool ok = !request->comment || add_comment(image, "%s", request->comment);
	ok = ok && add_comment(image, "request: %s", request->json);
	ok = ok && add_comment(image, "tags: %s", tags);
	if (request->customer)
		ok = ok && add_comment(image, "customer: %s", request->customer);
	if (request->alertid)
		ok = ok && add_comment(image, "alertid: %s", request->alertid);
	ok = ok && add_window(image, report);
	return ok && add_comment(image, "ended: %s", end_reason_name(report->reason));
}

static bool add_parts(struct image *image, const struct image_options *options)
{
	image->interfaces = calloc(options->part_count, sizeof(*image->interfaces));
	image->stores = calloc(options->part_count, sizeof(*image->stores));
	if (!image->interfaces || !image->stores)
		return false;
	image->part_count = options->part_count;
	for (size_t i = 0; i < options->part_count; i++) {
		const struct image_part *part = &options->parts[i];
		image->stores[i] = part->store;
		image->interfaces[i] = (struct packet_interface){
			.name = part->interface,
			.filter = options->request->bpf,
			.linktype = part->report.linktype,
			.snaplen = part->report.snaplen,
			.received = part->report.received,
			.dropped = part->report.lost_kernel,
			.start_ns = part->report.from_ns,
			.end_ns = part->report.to_ns,
		};
	}
	return true;
}

int image_init(struct image *image, const struct image_options *options)
{
	const struct request *request = options->request;
	*image = (struct image){.limits = {.packets = request->packets, .bytes = request->bytes}};
	image->format = request->format == REQUEST_FORMAT_PCAP ? CAPTURE_FILE_PCAP : CAPTURE_FILE_PCAPNG;
	if (!add_parts(image, options) || !add_comments(image, request, options->tags, options->report)) {
		image_deinit(image);
		return -ENOMEM;
	}
	host_info_describe(&image->info);
	image->info.comments = (const char *const *)image->comments;
	image->info.interfaces = image->interfaces;
	image->info.interface_count = image->part_count;
	capture_file_name(image->name, options->node, options->interface, options->report->from_ns, request->id,
			  image->format);
	image->file = (struct sink_file){
		.name = image->name,
		.tags = options->tags,
		.comment = request->comment,
		.id = request->id,
		.capture = options->capture,
		.ctx = image,
		.open = open_image,
		.close = close_image,
	};
	return 0;
}

void image_deinit(struct image *image)
{
	for (size_t i = 0; i < image->info.comment_count; i++)
		free(image->comments[i]);
	image->info.comment_count = 0;
	free(take(image->interfaces));
	free(take(image->stores));
}
