/* SPDX-License-Identifier: BSD-2-Clause */
/* The packets of all inputs in time order, as one source. */
#pragma once

#include "pcapng/merge_input.h"

struct merge_order;

/* `window`: packets that may be held to sort inputs that are out of order. All inputs must have been scanned and must
 * stay. NULL on ENOMEM. */
struct merge_order *merge_order_new(struct merge_input *inputs, size_t count, size_t window);
void merge_order_free(struct merge_order *order);

struct packet_source merge_order_source(struct merge_order *order);

/* Packets that follow a later one, in the last complete walk. */
uint64_t merge_order_late(const struct merge_order *order);

/* Negative if an input could not be read or had changed, which ends the walk. */
int merge_order_failed(const struct merge_order *order, struct error *error);

CLEANUP_DEFINE(merge_order, struct merge_order, merge_order_free)
