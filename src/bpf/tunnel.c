/* SPDX-License-Identifier: BSD-2-Clause */
/* A header is read only after a check that it is there; offsets grow by bounded steps and cannot wrap. */
#include "bpf/tunnel.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <stddef.h>

#include "base/packet.h"

#define ETHERTYPE_8021AD 0x88a8
#define ETHERTYPE_QINQ_OLD 0x9100
#define ETHERTYPE_BRIDGED 0x6558 /* Transparent Ethernet Bridging */
#define PORT_VXLAN 4789
#define PORT_VXLAN_LINUX 8472 /* Linux's default, from before 4789 was assigned */
#define PORT_GENEVE 6081

/* IPv6 extension headers: any that may lead to UDP or GRE. */
#define CANDIDATES                                                                                   \
	"ip proto 47 or ip6 proto 47 or udp dst port 4789 or udp dst port 8472 or udp dst port 6081" \
	" or ip6 proto 0 or ip6 proto 43 or ip6 proto 44 or ip6 proto 51 or ip6 proto 60 or ip proto 51"

const char *tunnel_candidates(uint16_t linktype)
{
	switch (linktype) {
	case LINKTYPE_ETHERNET:
		return CANDIDATES " or ether proto 0x8100 or ether proto 0x88a8 or ether proto 0x9100";
	case LINKTYPE_RAW:
	case LINKTYPE_LINUX_SLL2:
		return CANDIDATES;
	default:
		return NULL;
	}
}

struct reader {
	const uint8_t *packet;
	uint32_t size, at;
};

/* Whether `bytes` are left. */
static bool has(const struct reader *reader, uint32_t bytes)
{
	return reader->size - reader->at >= bytes;
}

static bool skip(struct reader *reader, uint32_t bytes)
{
	if (!has(reader, bytes))
		return false;
	reader->at += bytes;
	return true;
}

static uint8_t byte_at(const struct reader *reader, uint32_t offset)
{
	return reader->packet[reader->at + offset];
}

static uint16_t half_at(const struct reader *reader, uint32_t offset)
{
	return (uint16_t)(byte_at(reader, offset) << 8 | byte_at(reader, offset + 1));
}

static bool is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_8021AD || type == ETHERTYPE_QINQ_OLD;
}

static bool read_ethernet(struct reader *reader, uint16_t *type)
{
	if (!skip(reader, 12))
		return false;
	for (unsigned tags = 0; has(reader, 2); tags++) {
		*type = half_at(reader, 0);
		if (!is_tag(*type))
			return skip(reader, 2);
		if (tags == TUNNEL_TAGS_MAX || !skip(reader, 4))
			return false;
	}
	return false;
}

static bool read_raw(const struct reader *reader, uint16_t *type)
{
	if (!has(reader, 1))
		return false;
	*type = byte_at(reader, 0) >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP;
	return true;
}

static bool read_cooked(struct reader *reader, uint16_t *type)
{
	if (!has(reader, SLL2_HEADER_BYTES))
		return false;
	*type = half_at(reader, 0);
	return skip(reader, SLL2_HEADER_BYTES);
}

static bool read_link(struct reader *reader, uint16_t linktype, uint16_t *type)
{
	switch (linktype) {
	case LINKTYPE_ETHERNET:
		return read_ethernet(reader, type);
	case LINKTYPE_RAW:
		return read_raw(reader, type);
	case LINKTYPE_LINUX_SLL2:
		return read_cooked(reader, type);
	default:
		return false;
	}
}

static bool read_ipv4(struct reader *reader, uint8_t *protocol)
{
	if (!has(reader, 20) || byte_at(reader, 0) >> 4 != 4 || (half_at(reader, 6) & 0x1fff))
		return false;
	*protocol = byte_at(reader, 9);
	const uint32_t words = byte_at(reader, 0) & 15;
	return words >= 5 && skip(reader, words * 4);
}

/* AH and, in IPv6, the other extension headers, up to another protocol. */
static bool skip_extensions(struct reader *reader, uint16_t type, uint8_t *protocol)
{
	for (unsigned headers = 0;; headers++) {
		uint32_t bytes;

		const bool of_ipv6 = *protocol == IPPROTO_HOPOPTS || *protocol == IPPROTO_ROUTING ||
				     *protocol == IPPROTO_FRAGMENT || *protocol == IPPROTO_DSTOPTS;
		if (*protocol != IPPROTO_AH && !(of_ipv6 && type == ETHERTYPE_IPV6))
			return true;
		if (headers == TUNNEL_EXTENSIONS_MAX || !has(reader, 8))
			return false;
		if (*protocol == IPPROTO_FRAGMENT && half_at(reader, 2) >> 3)
			return false;
		if (*protocol == IPPROTO_FRAGMENT)
			bytes = 8;
		else if (*protocol == IPPROTO_AH)
			bytes = (byte_at(reader, 1) + 2u) * 4;
		else
			bytes = (byte_at(reader, 1) + 1u) * 8;
		*protocol = byte_at(reader, 0);
		if (!skip(reader, bytes))
			return false;
	}
}

static bool read_ipv6(struct reader *reader, uint8_t *protocol)
{
	if (!has(reader, 40) || byte_at(reader, 0) >> 4 != 6)
		return false;
	*protocol = byte_at(reader, 6);
	return skip(reader, 40);
}

/* What a tunnel says that it carries. */
static bool set_inner(const struct reader *reader, uint16_t type, struct tunnel_packet *inner)
{
	if (type != ETHERTYPE_BRIDGED && type != ETHERTYPE_IP && type != ETHERTYPE_IPV6)
		return false;
	inner->offset = reader->at;
	inner->linktype = type == ETHERTYPE_BRIDGED ? LINKTYPE_ETHERNET : LINKTYPE_RAW;
	return true;
}

static bool read_vxlan(struct reader *reader, struct tunnel_packet *inner)
{
	if (!has(reader, 8) || !(byte_at(reader, 0) & 0x08)) /* its flag I: valid */
		return false;
	return skip(reader, 8) && set_inner(reader, ETHERTYPE_BRIDGED, inner);
}

static bool read_geneve(struct reader *reader, struct tunnel_packet *inner)
{
	if (!has(reader, 8) || byte_at(reader, 0) >> 6 != 0) /* its version */
		return false;
	const uint16_t type = half_at(reader, 2);
	return skip(reader, 8 + (byte_at(reader, 0) & 0x3fu) * 4) && set_inner(reader, type, inner);
}

static bool read_udp(struct reader *reader, struct tunnel_packet *inner)
{
	if (!has(reader, 8))
		return false;
	const uint16_t port = half_at(reader, 2);
	skip(reader, 8);
	if (port == PORT_GENEVE)
		return read_geneve(reader, inner);
	return (port == PORT_VXLAN || port == PORT_VXLAN_LINUX) && read_vxlan(reader, inner);
}

#define GRE_CHECKSUM 0x8000
#define GRE_ROUTING 0x4000
#define GRE_KEY 0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_VERSION 0x0007

static bool read_gre(struct reader *reader, struct tunnel_packet *inner)
{
	if (!has(reader, 4))
		return false;
	const uint16_t flags = half_at(reader, 0), type = half_at(reader, 2);
	if (flags & (GRE_ROUTING | GRE_VERSION))
		return false;
	const uint32_t bytes =
		4 + (flags & GRE_CHECKSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) + (flags & GRE_SEQUENCE ? 4 : 0);
	return skip(reader, bytes) && set_inner(reader, type, inner);
}

bool tunnel_find(const uint8_t *packet, uint32_t caplen, uint16_t linktype, struct tunnel_packet *inner)
{
	struct reader reader = {.packet = packet, .size = caplen};
	uint16_t type = 0;
	uint8_t protocol = 0;

	if (!read_link(&reader, linktype, &type))
		return false;
	if (type != ETHERTYPE_IP && type != ETHERTYPE_IPV6)
		return false;
	if (!(type == ETHERTYPE_IP ? read_ipv4(&reader, &protocol) : read_ipv6(&reader, &protocol)) ||
	    !skip_extensions(&reader, type, &protocol))
		return false;
	if (protocol == IPPROTO_UDP)
		return read_udp(&reader, inner);
	return protocol == IPPROTO_GRE && read_gre(&reader, inner);
}
