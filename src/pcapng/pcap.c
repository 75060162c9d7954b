/* SPDX-License-Identifier: BSD-2-Clause */
/* The classic format with nanoseconds (draft-ietf-opsawg-pcap): one interface, no comments, no statistics. */
#include <string.h>

#include "base/clock.h"
#include "pcapng/file_format.h"
#include "pcapng/file_layout.h"

static uint32_t framing_size(const struct packet_view *packet)
{
	(void)packet;
	return sizeof(struct pcap_record_header);
}

static size_t before(uint8_t into[static FORMAT_FRAMING_MAX], const struct packet_view *packet)
{
	const struct pcap_record_header header = {
		.seconds = (uint32_t)(packet->time_ns / NS_PER_S),
		.fraction = (uint32_t)(packet->time_ns % NS_PER_S),
		.caplen = packet->caplen,
		.wirelen = packet->wirelen,
	};

	memcpy(into, &header, sizeof(header));
	return sizeof(header);
}

static size_t after(uint8_t into[static FORMAT_FRAMING_MAX], const struct packet_view *packet)
{
	(void)into;
	(void)packet;
	return 0;
}

static int head(struct buffer *buffer, const struct capture_file_info *info, uint64_t bytes_after)
{
	const struct pcap_file_header header = {
		.magic = PCAP_MAGIC_NS,
		.major = PCAP_MAJOR,
		.minor = PCAP_MINOR,
		.snaplen = info->interfaces[0].snaplen,
		.linktype = info->interfaces[0].linktype,
	};

	(void)bytes_after;
	return buffer_append(buffer, &header, sizeof(header));
}

static int tail(struct buffer *buffer, const struct capture_file_info *info, const uint64_t *delivered)
{
	(void)buffer;
	(void)info;
	(void)delivered;
	return 0;
}

const struct file_format format_pcap = {
	.extension = "pcap",
	.interfaces_min = 1,
	.interfaces_max = 1,
	.framing_size = framing_size,
	.before = before,
	.after = after,
	.head = head,
	.tail = tail,
};
