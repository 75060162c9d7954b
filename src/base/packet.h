/* What the capture engine hands on and the file formats take: a view of one packet, and a source that yields them in
 * time order. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum packet_direction { PACKET_DIR_UNKNOWN, PACKET_DIR_INBOUND, PACKET_DIR_OUTBOUND };

struct packet_view {
	uint64_t time_ns;    /* real time */
	const uint8_t *data; /* caplen bytes; owned by the source */
	uint32_t caplen;     /* bytes present */
	uint32_t wirelen;    /* bytes on the wire, VLAN tag included */
	uint16_t interface;  /* index into the file's interfaces */
	uint8_t direction;   /* enum packet_direction */
};

/* One interface as it stands in a file. Strings are owned by whoever fills it. */
struct packet_interface {
	const char *name;
	const char *filter; /* pcap-filter(7) text, NULL: none */
	uint16_t linktype;  /* LINKTYPE_… of tcpdump.org/linktypes.html */
	uint32_t snaplen;   /* bytes */
	uint64_t received;  /* packets the kernel gave or dropped on this interface during the capture */
	uint64_t dropped;   /* of these, packets lost before the capture saw them */
	uint64_t start_ns;  /* real time */
	uint64_t end_ns;    /* real time */
};

/* Packets of one finished capture; can be walked any number of times, by one reader at a time. */
struct packet_source {
	void (*rewind)(void *ctx);
	bool (*next)(void *ctx,
		     struct packet_view *packet); /* false: no more; the view stays valid as long as the source */
	void *ctx;
};
