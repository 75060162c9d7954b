/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the packet inside a tunnel: VXLAN (RFC 7348), GENEVE (RFC 8926), GRE (RFC 2784, 2890) and NVGRE (RFC 7637). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct tunnel_packet {
	uint32_t offset;   /* where it begins */
	uint16_t linktype; /* LINKTYPE_ETHERNET or LINKTYPE_RAW */
};

/*
 * A filter that accepts all packets of a link type in which tunnel_find may find one; NULL: there can be none. Its
 * terms do not change what those after it mean.
 */
const char *tunnel_candidates(uint16_t linktype);

/*
 * Looks into `caplen` bytes of a packet as it was on the wire: over Ethernet (up to TUNNEL_TAGS_MAX VLAN tags),
 * raw IP or Linux cooked v2, IPv4 or IPv6 (up to TUNNEL_EXTENSIONS_MAX extension headers), in UDP to the ports 4789,
 * 8472 (VXLAN) or 6081 (GENEVE), or in GRE. Fragments after the first hold none. Of tunnels in tunnels, the outer one
 * counts.
 */
bool tunnel_find(const uint8_t *packet, uint32_t caplen, uint16_t linktype, struct tunnel_packet *inner);

#define TUNNEL_TAGS_MAX 4
#define TUNNEL_EXTENSIONS_MAX 8
