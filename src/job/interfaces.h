/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces that this host has now, under the names that requests use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct skipped;

#define INTERFACE_NAME_SIZE 16

struct interface_list {
	char (*names)[INTERFACE_NAME_SIZE];
	unsigned *indexes; /* the kernel's, by name */
	size_t count;
};

/* All interfaces, or with `skipped` those that are up and have a supported link type, in the kernel's order; up, but
 * not usable, are added to `skipped`. 0 or -errno: never a part of them. */
warn_unused int interface_list_read(struct skipped *skipped, struct interface_list *list);
void interface_list_deinit(struct interface_list *list);

/* 0, -ENODEV, or another -errno: not known. */
warn_unused int interface_check(const char *name);

/* The listed name most similar to a misspelt one, or NULL. */
const char *interface_list_suggest(const struct interface_list *list, const char *name);
