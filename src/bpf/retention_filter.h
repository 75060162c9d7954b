/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a recorder may keep at all: a filter, and how much of each packet. The kernel applies it as the last part of a
 * source's union (filter_union). Reading history applies it again, because the ring also holds what live consumers
 * wanted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct filter;
struct retention_filter;
struct sock_filter;

struct retention_filter_options {
	const char *bpf;  /* NULL or "": every packet */
	uint32_t netmask; /* of the interface, for "ip broadcast"; 0: unknown */
	uint32_t snaplen; /* bytes */
	bool headers;	  /* link to transport headers only; overrides snaplen */
};

/* *retention is NULL if nothing is restricted. Returns 0, -EINVAL or -ENOMEM. May block like filter_compile. */
warn_unused int retention_filter_new(const struct retention_filter_options *options, uint16_t linktype,
				     struct error *err, struct retention_filter **retention);
void retention_filter_free(struct retention_filter *retention);

/* How many bytes of a packet may be kept, at most `caplen`; 0: none. The rest as for filter_run. */
uint32_t retention_filter_kept_bytes(const struct retention_filter *retention, const uint8_t *packet, uint32_t wirelen,
				     uint32_t caplen, unsigned type);

/* Whether some packets that `filter` (NULL: all) accepts may be missing, or kept too short for it to decide. retention
 * NULL: no. */
bool retention_filter_may_hide(const struct retention_filter *retention, const struct filter *filter);

/* For the kernel: the filter (NULL: every packet), and the program that returns how much of a packet to keep. */
const struct filter *retention_filter_selector(const struct retention_filter *retention);
const struct sock_filter *retention_filter_length_program(const struct retention_filter *retention, size_t *count);

/* The most bytes of a packet that may be kept. */
uint32_t retention_filter_snaplen(const struct retention_filter *retention);

CLEANUP_DEFINE(retention_filter, struct retention_filter, retention_filter_free)
