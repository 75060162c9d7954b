/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filters: pcap-filter(7) text compiled to classic BPF, run over packets as they were on the wire (VLAN tags in place).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct bpf_insn;
struct filter;

/* libpcap's compiler cannot be interrupted, and its time grows with the square of the terms (0.03 s for this many, 3 s
 * for 600); its parser's stack grows with them too. */
#define FILTER_TERMS_MAX 128 /* primitives joined by and, or, &&, || */

/* Compiles `expression` (NULL or "": every packet, *filter = NULL) for a link type. May block to look up names: not on
 * the loop thread. Returns 0, -EINVAL with libpcap's message, or -ENOMEM. The filter is immutable. */
warn_unused int filter_compile(const char *expression, uint16_t linktype, struct error *err, struct filter **filter);
/* The same for an interface with this IPv4 netmask (host byte order, 0: unknown), which "ip broadcast" needs. */
warn_unused int filter_compile_with_netmask(const char *expression, uint16_t linktype, uint32_t netmask,
					    struct error *err, struct filter **filter);

#define FILTER_CHECK_NETMASK 0xffffff00u /* of no interface in particular */

struct filter_options {
	const char *bpf;   /* what the packet must match; NULL or "": nothing in particular */
	const char *inner; /* what the packet in a tunnel (tunnel.h) must match as well; NULL or "": none is needed */
	const char *required; /* what the packet must match as well, whatever the others say; NULL or "": nothing */
	/* The rule that forbids host names in `bpf` and `inner`: they are refused, and never looked up. NULL: none. */
	const char *no_names;
	uint16_t linktype;
	uint32_t netmask; /* as for filter_compile_with_netmask */
};

/* Compiles a filter of these expressions. Errors begin with the name of the one at fault, `*field`. Otherwise
 * like filter_compile. */
warn_unused int filter_new(const struct filter_options *options, struct error *err, const char **field,
			   struct filter **filter);

/* Checks that an expression, or both of `options`, can be compiled for Ethernet or another link type, with some
 * netmask. The error is that of Ethernet. Results and blocking as for filter_compile. */
warn_unused int filter_check(const char *expression, struct error *err);
warn_unused int filter_check_options(const struct filter_options *options, struct error *err);
/* Another reference, which filter_free() ends. NULL is fine. Any thread. */
struct filter *filter_share(struct filter *filter);
void filter_free(struct filter *filter);

/* Whether compiling may look up a name (host, network), which takes as long as the name servers do. Errs towards true.
 * NULL: false. */
bool filter_may_resolve_names(const char *expression);

const struct bpf_insn *filter_program(const struct filter *filter);

/* How many bytes of the packet the filter accepts; 0: it rejects. `packet`: `caplen` bytes of it, as it was on the
 * wire. `type`: PACKET_HOST, PACKET_OUTGOING, … (linux/if_packet.h), for "inbound" and "outbound". */
uint32_t filter_run(const struct filter *filter, const uint8_t *packet, uint32_t wirelen, uint32_t caplen,
		    unsigned type);

/*
 * Whether a filter reads only addresses, protocols and ports. Errs towards false (TCP flags lie where UDP has payload).
 */
bool filter_reads_headers_only(const struct filter *filter);

/* Whether two filters are the same program. */
bool filter_equal(const struct filter *one, const struct filter *other);

/* The end of the furthest load of the filter, as an offset; UINT32_MAX: unknown. */
uint32_t filter_reach(const struct filter *filter);

CLEANUP_DEFINE(filter, struct filter, filter_free)
