/* SPDX-License-Identifier: BSD-2-Clause */
/* What the engine passes to the file formats: a view of one packet, and a source that yields packets in time order. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Link types that the code knows by name, from tcpdump.org/linktypes.html. */
#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW 101 /* IP without a link layer */
#define LINKTYPE_FDDI 10
#define LINKTYPE_FRELAY 107
#define LINKTYPE_IEEE802_11_RADIOTAP 127
#define LINKTYPE_LINUX_IRDA 144
#define LINKTYPE_LINUX_LAPD 177
#define LINKTYPE_FC_2 224
#define LINKTYPE_CAN_SOCKETCAN 227
#define LINKTYPE_NETLINK 253
#define LINKTYPE_LINUX_SLL2 \
	276 /* Linux cooked mode: a header made from what the kernel knows, then the network layer */

#define SLL2_HEADER_BYTES 20

#define PACKET_SNAPLEN_MAX 262144 /* libpcap's MAXIMUM_SNAPLEN */

enum packet_direction { PACKET_DIR_UNKNOWN, PACKET_DIR_INBOUND, PACKET_DIR_OUTBOUND };

/* How a packet was received, as in epb_flags; none of them for one that was sent. */
#define PACKET_FLAG_UNICAST (1u << 2)
#define PACKET_FLAG_MULTICAST (2u << 2)
#define PACKET_FLAG_BROADCAST (3u << 2)
#define PACKET_FLAG_PROMISCUOUS (4u << 2) /* for another host */
#define PACKET_FLAGS_RECEPTION (7u << 2)
#define PACKET_FLAG_CHECKSUM_NOT_READY (1u << 9) /* the hardware, or the receiver's kernel, was to fill it in */

struct packet_view {
	uint64_t time_ns;    /* real time: the stamp that files hold */
	uint64_t arrived_ns; /* boot time, by which packets of one host are ordered; 0: from a file */
	const uint8_t *data; /* caplen bytes; owned by the source */
	uint32_t caplen;     /* bytes present */
	uint32_t wirelen;    /* bytes on the wire, VLAN tag included */
	uint16_t interface;  /* index into the file's interfaces */
	uint8_t direction;   /* enum packet_direction */
	bool odd_stamp;	     /* time_ns is not when it arrived */
	uint32_t flags;	     /* the other bits of pcapng's epb_flags: PACKET_FLAG_…, or what a file holds */
	/* Packets missing between the interface's previous packet and this one (pcapng's epb_dropcount). */
	uint64_t missing;
};

/* Whether bytes that a snap length of `snaplen` would have kept are missing. The largest means whole packets. */
static inline bool packet_is_truncated(const struct packet_view *packet, uint32_t snaplen)
{
	const bool whole = snaplen >= PACKET_SNAPLEN_MAX || snaplen > packet->wirelen;

	return packet->caplen < (whole ? packet->wirelen : snaplen);
}

/* A count or time of an interface that is not known. */
#define PACKET_UNKNOWN UINT64_MAX

/* One interface as a file describes it. Strings belong to the code that fills it in. */
struct packet_interface {
	const char *name;
	const char *description; /* NULL: none */
	const char *filter;	 /* pcap-filter(7) text, NULL: none */
	const char *os;		 /* of the interface's host; NULL: the file's */
	uint16_t linktype;	 /* LINKTYPE_… of tcpdump.org/linktypes.html */
	uint32_t snaplen;	 /* bytes */
	uint64_t received;	 /* packets the kernel delivered or dropped during the capture */
	uint64_t dropped;	 /* of these, packets lost before the capture saw them */
	uint64_t start_ns;	 /* real time */
	uint64_t end_ns;	 /* real time */
	const char *comment;	 /* on the counts; NULL: none */
};

/* Packets of finished captures, to be walked any number of times, by one reader at a time. */
struct packet_source {
	void (*rewind)(void *ctx);
	bool (*next)(void *ctx, struct packet_view *packet); /* false: no more; the view is valid until the next call */
	void *ctx;
};
