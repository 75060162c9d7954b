/* SPDX-License-Identifier: BSD-2-Clause */
/* The recorders that the configuration names, and whether each records. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct config;
struct engine_interface;

struct node_recorder {
	const char *setting; /* the configuration's name for the interface */
	bool away;	     /* there is no such interface now */
	bool up;	     /* it records now */
};

/*
 * One for each of history.interfaces, in the configuration's order. `rings`: the open ones. The caller frees; NULL on
 * ENOMEM.
 */
struct node_recorder *node_recorders_list(const struct config *config, const struct engine_interface *rings,
					  size_t ring_count);
