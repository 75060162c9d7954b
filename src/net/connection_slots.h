/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TCP connections that there may be at a time, in all and of one peer's network. A slot may have two holders: the
 * loop's thread, and the one that does TLS. It is free again when both have let it go.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "net/peer_address.h"

struct connection_slots;

struct connection_slot {
	_Atomic unsigned holders; /* 0: free */
	char network[PEER_NETWORK_SIZE];
};

/* `per_network` of the `count` slots for one network. NULL on ENOMEM. Loop thread, as are free and take. */
struct connection_slots *connection_slots_new(size_t count, size_t per_network);
void connection_slots_free(struct connection_slots *slots); /* none may be held */

/* A slot held once; NULL: there is none, or (`*network_full`) none for this network. */
struct connection_slot *connection_slots_take(struct connection_slots *slots, const char *network, bool *network_full);

/* Any thread that holds it. NULL: does nothing. */
void connection_slot_hold(struct connection_slot *slot);
void connection_slot_release(struct connection_slot *slot);

CLEANUP_DEFINE(connection_slots, struct connection_slots, connection_slots_free)
