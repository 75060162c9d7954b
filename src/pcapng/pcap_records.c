/* SPDX-License-Identifier: BSD-2-Clause */
/* The classic format: a header, then records; one interface without a name. Versions other than 2.4 and patched forms
 * with longer record headers are refused. */
#include <errno.h>

#include "base/clock.h"
#include "pcapng/pcapng_reader_internal.h"

#define LINKTYPE_MASK 0xffff
#define LINKTYPE_RESERVED 0x03ff0000

bool pcap_magic_known(uint32_t magic)
{
	return magic == PCAP_MAGIC_US || magic == PCAP_MAGIC_NS || bswap_32(magic) == PCAP_MAGIC_US ||
	       bswap_32(magic) == PCAP_MAGIC_NS;
}

int pcap_header_read(struct pcapng_reader *reader, struct pcapng_item *item)
{
	struct pcap_file_header header;

	memcpy(&header, reader->block, sizeof(header));
	reader->swapped = header.magic != PCAP_MAGIC_US && header.magic != PCAP_MAGIC_NS;
	reader->pcap_tsresol = reader_u32(reader, &header.magic) == PCAP_MAGIC_NS ? TSRESOL_NS : TSRESOL_US;
	const unsigned major = reader_u16(reader, &header.major), minor = reader_u16(reader, &header.minor);
	const uint32_t linktype = reader_u32(reader, &header.linktype);
	const struct known_interface known = {.snaplen = reader_u32(reader, &header.snaplen)};
	if (major != PCAP_MAJOR || minor != PCAP_MINOR)
		return error_set(&reader->error, -EBADMSG, "pcap of version %u.%u", major, minor);
	if (linktype & LINKTYPE_RESERVED)
		return error_set(&reader->error, -EBADMSG, "link type 0x%08x", linktype);

	item->kind = PCAPNG_INTERFACE;
	item->description = (struct packet_interface){
		.linktype = linktype & LINKTYPE_MASK,
		.snaplen = known.snaplen,
		.received = PACKET_UNKNOWN,
		.dropped = PACKET_UNKNOWN,
		.start_ns = PACKET_UNKNOWN,
		.end_ns = PACKET_UNKNOWN,
	};
	return reader_add_interface(reader, &known, item);
}

int pcap_record_size(struct pcapng_reader *reader, uint32_t *size)
{
	const uint32_t caplen = reader_u32(reader, reader->block + offsetof(struct pcap_record_header, caplen));

	if (caplen > PCAPNG_PACKET_MAX)
		return error_set(&reader->error, -EMSGSIZE, "packet of %u bytes", caplen);
	*size = (uint32_t)sizeof(struct pcap_record_header) + caplen;
	return 0;
}

int pcap_record_read(struct pcapng_reader *reader, struct pcapng_item *item)
{
	struct pcap_record_header header;

	memcpy(&header, reader->block, sizeof(header));
	const uint64_t fraction = reader_u32(reader, &header.fraction);
	const uint64_t fraction_ns = reader->pcap_tsresol == TSRESOL_NS ? fraction : fraction * 1000;
	if (fraction_ns >= NS_PER_S)
		return error_set(&reader->error, -EBADMSG, "time whose fraction is a second or more");

	item->kind = PCAPNG_PACKET;
	item->data_at = reader->at + sizeof(header);
	item->packet = (struct packet_view){
		.time_ns = reader_u32(reader, &header.seconds) * NS_PER_S + fraction_ns,
		.data = reader->block + sizeof(header),
		.caplen = reader_u32(reader, &header.caplen),
		.wirelen = reader_u32(reader, &header.wirelen),
	};
	return 0;
}
