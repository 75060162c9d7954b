/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces that this host has now, under the names that requests use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define INTERFACE_NAME_SIZE 16

struct interface_list {
	char (*names)[INTERFACE_NAME_SIZE];
	unsigned *indexes; /* the kernel's, by name */
	size_t count;
};

/* All interfaces (`up_only`: those that are up), in the kernel's order. 0 or -errno: never a part of them. */
warn_unused int interface_list_read(bool up_only, struct interface_list *list);
void interface_list_deinit(struct interface_list *list);

/* The listed name most similar to a misspelt one, or NULL. */
const char *interface_list_suggest(const struct interface_list *list, const char *name);
