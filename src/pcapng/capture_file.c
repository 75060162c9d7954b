/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file of known size: head, packets, tail. Head and tail are made once, after a walk over the packets that yields the
 * file's size and the number of packets per interface; the packets' bytes are made as they are read.
 */
#include "pcapng/capture_file.h"

#include <errno.h>

#include "pcapng/packet_bytes.h"

struct capture_file {
	struct buffer head, tail;
	struct packet_bytes packets;
	uint64_t size_bytes;
	size_t head_read, tail_read; /* bytes */
};

const struct file_format *file_format_of(enum capture_file_format format)
{
	return format == CAPTURE_FILE_PCAP ? &format_pcap : &format_pcapng;
}

static void rewind_file(void *ctx)
{
	struct capture_file *file = ctx;

	packet_bytes_rewind(&file->packets);
	file->head_read = file->tail_read = 0;
}

static size_t read_file(void *ctx, uint8_t *into, size_t room)
{
	struct capture_file *file = ctx;
	size_t done = buffer_read(&file->head, &file->head_read, into, room);

	done += packet_bytes_read(&file->packets, into + done, room - done);
	if (done < room)
		done += buffer_read(&file->tail, &file->tail_read, into + done, room - done);
	return done;
}

static int make(struct capture_file *file, const struct capture_file_info *info, uint64_t *delivered)
{
	const struct file_format *format = file->packets.format;

	if (info->interface_count < format->interfaces_min || info->interface_count > format->interfaces_max ||
	    !packet_bytes_measure(&file->packets, info->interface_count, &file->size_bytes, delivered))
		return -EINVAL;

	int r = format->tail(&file->tail, info, delivered);
	file->size_bytes += file->tail.size;
	if (r == 0)
		r = format->head(&file->head, info, file->size_bytes);
	file->size_bytes += file->head.size;
	return r;
}

struct capture_file *capture_file_new(enum capture_file_format format, const struct capture_file_info *info,
				      struct packet_source packets)
{
	cleanup(cleanup_capture_file) struct capture_file *file = calloc(1, sizeof(*file));
	cleanup(cleanup_free) uint64_t *delivered = calloc(info->interface_count + 1, sizeof(*delivered));

	if (!file || !delivered)
		return NULL;
	file->packets = (struct packet_bytes){.format = file_format_of(format), .packets = packets};
	file->head.cap_bytes = FORMAT_HEAD_TAIL_MAX;
	file->tail.cap_bytes = FORMAT_HEAD_TAIL_MAX;
	if (make(file, info, delivered) < 0)
		return NULL;
	rewind_file(file);
	return take(file);
}

void capture_file_free(struct capture_file *file)
{
	if (!file)
		return;

	buffer_deinit(&file->head);
	buffer_deinit(&file->tail);
	free(file);
}

struct byte_stream capture_file_stream(struct capture_file *file)
{
	return (struct byte_stream){.size_bytes = file->size_bytes,
				    .read = read_file,
				    .rewind = rewind_file,
				    .ctx = file};
}
