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
struct keep;
struct sock_filter;

struct keep_options {
	const char *bpf;  /* NULL or "": every packet */
	uint32_t snaplen; /* bytes */
	bool headers;	  /* link to transport headers only; snaplen is not looked at */
};

/* *keep is NULL if there is no restriction. 0, -EINVAL or -ENOMEM. May block as filter_compile. */
warn_unused int keep_new(const struct keep_options *options, uint16_t linktype, struct error *err, struct keep **keep);
void keep_free(struct keep *keep);

/* How many bytes of a packet may be kept, at most `caplen`; 0: none. `packet` as it was on the wire. */
uint32_t keep_bytes(const struct keep *keep, const uint8_t *packet, uint32_t wirelen, uint32_t caplen);

/* Whether packets that `filter` (NULL: all) accepts may not have been kept, or not enough of them to tell. keep NULL:
 * no. */
bool keep_may_hide(const struct keep *keep, const struct filter *filter);

/* For the kernel: the filter (NULL: every packet), and the program that answers how much of a packet to keep. */
const struct filter *keep_filter(const struct keep *keep);
const struct sock_filter *keep_length_program(const struct keep *keep, size_t *count);

/* Most bytes of a packet that may be kept. */
uint32_t keep_snaplen(const struct keep *keep);

CLEANUP_DEFINE(keep, struct keep, keep_free)
