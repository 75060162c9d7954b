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
#include "http/http_peer.h"

struct http_slots;

struct http_slot {
	_Atomic unsigned holders; /* 0: free */
	char network[HTTP_PEER_NETWORK_SIZE];
};

/* `per_network` of the `count` slots for one network. NULL on ENOMEM. Loop thread, as are free and take. */
struct http_slots *http_slots_new(size_t count, size_t per_network);
void http_slots_free(struct http_slots *slots); /* none may be held */

/* A slot held once; NULL: there is none, or (`*network_full`) none for this network. */
struct http_slot *http_slots_take(struct http_slots *slots, const char *network, bool *network_full);

/* Any thread that holds it. NULL: does nothing. */
void http_slot_hold(struct http_slot *slot);
void http_slot_release(struct http_slot *slot);

CLEANUP_DEFINE(http_slots, struct http_slots, http_slots_free)
