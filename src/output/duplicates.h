/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that a merged capture has several times because interfaces hand them on: a bridge and its ports, a bond and
 * its members, both ends of a veth pair. Of identical frames that different interfaces saw within DUPLICATES_WITHIN_NS,
 * the first is no duplicate, and each later one is, but only one of each other interface: what one interface saw twice
 * was sent twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct duplicates;
struct store;

#define DUPLICATES_WITHIN_NS (10 * NS_PER_MS)
#define DUPLICATES_FRAMES_MAX 65536 /* looked back at; of more frames within that time, some duplicates stay */
#define DUPLICATES_CHAIN_MAX 64	    /* likewise, of identical frames */

/*
 * Looks through the packets of all sealed stores, in the order in which store_merge yields them. Returns 0, or -ENOMEM.
 * Any thread; takes about a second per GB.
 */
warn_unused int duplicates_find(const struct store *const *stores, size_t count, struct duplicates **duplicates);
void duplicates_free(struct duplicates *duplicates);

/* Whether the packet of this number, from 0 and in that order, is a duplicate. NULL has none. */
bool duplicates_has(const struct duplicates *duplicates, uint64_t number);

/* How many of the store with this index are. */
uint64_t duplicates_of(const struct duplicates *duplicates, size_t store);
uint64_t duplicates_count(const struct duplicates *duplicates);

CLEANUP_DEFINE(duplicates, struct duplicates, duplicates_free)
