/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a recorder may keep at all: a filter, and how much of each packet. Attached in the kernel as the last part of a
 * source's union (filter_union); applied again when packets of the past are read, because the ring also holds what live
 * consumers wanted.
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
	uint32_t snaplen; /* bytes */
	bool headers;	  /* link to transport headers only; snaplen is not looked at */
};

/* *retention is NULL if there is no restriction. 0, -EINVAL or -ENOMEM. May block as filter_compile. */
warn_unused int retention_filter_new(const struct retention_filter_options *options, uint16_t linktype,
				     struct error *err, struct retention_filter **retention);
void retention_filter_free(struct retention_filter *retention);

/* How many bytes of a packet may be kept, at most `caplen`; 0: none. `packet` as it was on the wire. */
uint32_t retention_filter_kept_bytes(const struct retention_filter *retention, const uint8_t *packet, uint32_t wirelen,
				     uint32_t caplen);

/* Whether packets that `filter` (NULL: all) accepts may not have been kept, or not enough of them to tell. retention
 * NULL: no. */
bool retention_filter_may_hide(const struct retention_filter *retention, const struct filter *filter);

/* For the kernel: the filter (NULL: every packet), and the program that answers how much of a packet to keep. */
const struct filter *retention_filter_selector(const struct retention_filter *retention);
const struct sock_filter *retention_filter_length_program(const struct retention_filter *retention, size_t *count);

/* Most bytes of a packet that may be kept. */
uint32_t retention_filter_snaplen(const struct retention_filter *retention);

CLEANUP_DEFINE(retention_filter, struct retention_filter, retention_filter_free)
