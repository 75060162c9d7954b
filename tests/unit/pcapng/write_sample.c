/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * write_sample {pcapng|pcap|mixed} PATH: writes a capture file that tests/system/test_pcapng_format.py checks with
 * other programs. The packets are Ethernet frames ("mixed": raw IP on the second interface) of sizes with every
 * padding, from 0 to the largest snap length; the test knows sizes and times.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/packet.h"
#include "packet_array.h"
#include "pcapng/capture_file.h"

#define SNAPLEN PACKET_SNAPLEN_MAX

#define FIRST_NS UINT64_C(1795423260123456789)
#define STEP_NS UINT64_C(1000000001)

static const uint32_t sizes[] = {0, 14, 60, 61, 62, 63, 1514, 9000, 65535, 262144};
#define PACKETS (sizeof(sizes) / sizeof(*sizes))

static struct packet_interface interfaces[] = {{.name = "eth0",
						.filter = "ip or arp",
						.linktype = LINKTYPE_ETHERNET,
						.snaplen = SNAPLEN,
						.received = 12,
						.dropped = 2,
						.start_ns = FIRST_NS - STEP_NS,
						.end_ns = FIRST_NS + 100 * STEP_NS},
					       {.name = "tun-é",
						.linktype = LINKTYPE_ETHERNET,
						.snaplen = SNAPLEN,
						.received = 5,
						.start_ns = FIRST_NS - STEP_NS,
						.end_ns = FIRST_NS + 100 * STEP_NS}};

static const char *const comments[] = {"request: {\"customer\":\"Grüße €\"}", "second comment"};

/* A frame of an experimental ethertype; as raw IP it is a packet of IP version 0, which does no harm. */
static uint8_t frame[SNAPLEN] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5};

static int write_stream(const struct byte_stream *stream, const char *path)
{
	cleanup(cleanup_fclose) FILE *out = fopen(path, "wb");
	uint8_t bytes[16384];
	uint64_t written = 0;

	if (!out)
		return -errno;
	for (size_t size; (size = stream->read(stream->ctx, bytes, sizeof(bytes))) > 0; written += size)
		if (fwrite(bytes, 1, size, out) != size)
			return -EIO;
	return fflush(out) == 0 && written == stream->size_bytes ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	struct packet_view packets[PACKETS];
	bool pcap = argc > 1 && strcmp(argv[1], "pcap") == 0;

	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "mixed") == 0)
		interfaces[1].linktype = LINKTYPE_RAW;
	for (size_t i = 0; i < PACKETS; i++)
		packets[i] = (struct packet_view){.time_ns = FIRST_NS + i * STEP_NS,
						  .data = frame,
						  .caplen = sizes[i],
						  .wirelen = sizes[i] + (i % 2 && sizes[i] < SNAPLEN ? 4 : 0),
						  .interface = pcap ? 0 : (uint16_t)(i % 2),
						  .direction = (uint8_t)(i % 3)};

	const struct capture_file_info info = {.hardware = "x86_64",
					       .os = "Linux 6.18",
					       .application = "write_sample 1",
					       .comments = comments,
					       .comment_count = sizeof(comments) / sizeof(*comments),
					       .interfaces = interfaces,
					       .interface_count = pcap ? 1 : 2};
	struct packet_array array = {packets, PACKETS, 0};
	cleanup(cleanup_capture_file) struct capture_file *file =
		capture_file_new(pcap ? CAPTURE_FILE_PCAP : CAPTURE_FILE_PCAPNG, &info, packet_array_source(&array));
	if (!file)
		return 1;

	struct byte_stream stream = capture_file_stream(file);
	return write_stream(&stream, argv[2]) < 0;
}
