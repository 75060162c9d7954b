/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filters: pcap-filter(7) text → classic BPF, run over packets as they were on the wire (VLAN tags in place).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct bpf_insn;
struct filter;

/*
 * libpcap's optimiser takes a time that grows with the cube of the terms (0.15 s for this many, 20 s for 600), and
 * cannot be interrupted; its parser's stack grows with them too.
 */
#define FILTER_TERMS_MAX 128 /* primitives joined by and, or, &&, || */

/*
 * Compiles `expression` (NULL or "": every packet, *filter = NULL) for a link type. May block (names are looked up):
 * any thread but the loop's. 0, -EINVAL with libpcap's words, -ENOMEM. Immutable afterwards.
 */
warn_unused int filter_compile(const char *expression, uint16_t linktype, struct error *err, struct filter **filter);
/* Whether an expression compiles for Ethernet. Likewise, without keeping it. */
warn_unused int filter_check(const char *expression, struct error *err);
void filter_free(struct filter *filter);

/*
 * Whether compiling may look a name up (host, network), which can take as long as name servers please. Says yes too
 * often rather than too seldom. NULL: no.
 */
bool filter_may_resolve_names(const char *expression);

const struct bpf_insn *filter_program(const struct filter *filter);

/* How many bytes of the packet it accepts; 0: it rejects. The packet is as it was on the wire, `caplen` bytes of it. */
uint32_t filter_run(const struct filter *filter, const uint8_t *packet, uint32_t wirelen, uint32_t caplen);

/*
 * Whether a filter looks at addresses, protocols and ports only. Says no too often rather than too seldom (TCP flags
 * lie where UDP has payload).
 */
bool filter_reads_headers_only(const struct filter *filter);

/* Whether two filters are the same program. */
bool filter_equal(const struct filter *one, const struct filter *other);

/* No load of the filter goes beyond this offset; UINT32_MAX if that cannot be told. */
uint32_t filter_reach(const struct filter *filter);

CLEANUP_DEFINE(filter, struct filter, filter_free)
