/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet source over an array. */
#pragma once

#include <stddef.h>

#include "base/packet.h"

struct packet_array {
	const struct packet_view *packets;
	size_t count, at;
};

static inline void packet_array_rewind(void *ctx)
{
	((struct packet_array *)ctx)->at = 0;
}

static inline bool packet_array_next(void *ctx, struct packet_view *packet)
{
	struct packet_array *array = (struct packet_array *)ctx;

	if (array->at == array->count)
		return false;
	*packet = array->packets[array->at++];
	return true;
}

static inline struct packet_source packet_array_source(struct packet_array *array)
{
	return (struct packet_source){.rewind = packet_array_rewind, .next = packet_array_next, .ctx = array};
}
