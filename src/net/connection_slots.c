/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory order: a release of the last hold is ordered before the slot's next use, so that its network may be written
 * without a lock.
 */
#include "net/connection_slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct connection_slots {
	size_t count, per_network;
	struct connection_slot slots[];
};

struct connection_slots *connection_slots_new(size_t count, size_t per_network)
{
	struct connection_slots *slots = calloc(1, sizeof(*slots) + count * sizeof(slots->slots[0]));

	if (!slots)
		return NULL;
	slots->count = count;
	slots->per_network = per_network;
	return slots;
}

void connection_slots_free(struct connection_slots *slots)
{
	free(slots);
}

struct connection_slot *connection_slots_take(struct connection_slots *slots, const char *network, bool *network_full)
{
	struct connection_slot *found = NULL;
	size_t same = 0;

	for (size_t i = 0; i < slots->count; i++) {
		struct connection_slot *slot = &slots->slots[i];

		if (!atomic_load_explicit(&slot->holders, memory_order_acquire))
			found = slot;
		else
			same += strcmp(slot->network, network) == 0;
	}
	*network_full = same >= slots->per_network;
	if (!found || *network_full)
		return NULL;
	snprintf(found->network, sizeof(found->network), "%s", network);
	atomic_store_explicit(&found->holders, 1, memory_order_relaxed);
	return found;
}

void connection_slot_hold(struct connection_slot *slot)
{
	if (slot)
		atomic_fetch_add_explicit(&slot->holders, 1, memory_order_relaxed);
}

void connection_slot_release(struct connection_slot *slot)
{
	if (slot)
		atomic_fetch_sub_explicit(&slot->holders, 1, memory_order_release);
}
