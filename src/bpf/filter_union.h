/* SPDX-License-Identifier: BSD-2-Clause */
/* The union of many filters as one kernel program, so that packets no consumer wants never reach the ring. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter;
struct retention_filter;
struct sock_filter;

/* A filter and a snap length that the kernel has to satisfy. */
struct filter_want {
	const struct filter *filter; /* NULL: every packet */
	uint32_t snaplen;	     /* bytes */
};

#define FILTER_UNION_MAX 4096	  /* instructions: the kernel's BPF_MAXINSNS */
#define FILTER_UNION_MIN_BYTES 34 /* bytes: Ethernet and IPv4 headers */

struct filter_union_options {
	const struct retention_filter *retention; /* applied to packets that no want accepts; NULL: they are rejected */
	const struct filter *exclude;		  /* packets rejected even if wanted; NULL: none */
	bool loopback;				  /* reject outgoing copies */
};

/*
 * Writes into `program` (room for FILTER_UNION_MAX) a kernel filter that accepts at least what any of `wants` accepts,
 * cut at the largest snap length that still lets every filter be repeated on the cut packet. Returns the number of
 * instructions; 0: attach none, because every packet is wanted whole, the union does not fit, or the kernel would judge
 * differently (with `loopback` the filter then rejects only outgoing copies). With no wants and no retention filter it
 * rejects everything. The kernel sees packets with their VLAN tag stripped, which changes what an expression means, so
 * tagged packets are all accepted. So are those shorter than FILTER_UNION_MIN_BYTES.
 */
size_t filter_union(const struct filter_want *wants, size_t count, const struct filter_union_options *options,
		    struct sock_filter *program);
