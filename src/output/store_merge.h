/* SPDX-License-Identifier: BSD-2-Clause */
/* The packets of several sealed stores as one source in time order, which ends when the whole reaches its limits. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/packet.h"
#include "capture/store.h"

struct duplicates;
struct store_merge;

struct store_merge_limits {
	uint64_t packets, bytes;	     /* ends after the packet that reaches one of them */
	const struct duplicates *duplicates; /* left out; NULL: none */
};

/* Packets of stores[i] get interface index i. The stores must outlive it. NULL on ENOMEM. */
struct store_merge *store_merge_new(const struct store *const *stores, size_t count,
				    const struct store_merge_limits *limits);
void store_merge_free(struct store_merge *merge);

/* Valid as long as the merge; one reader at a time. */
struct packet_source store_merge_source(struct store_merge *merge);

CLEANUP_DEFINE(store_merge, struct store_merge, store_merge_free)
