/* SPDX-License-Identifier: BSD-2-Clause */
/* One file out of what the nodes of a fleet captured. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct fleet_bus;

/* Whether there is room for the files, and `path` can be written. 0 or -errno with the text in `err`. */
warn_unused int fleet_merge_check(const char *path, struct error *err);

/*
 * Reads the files that the events tell of (destination "redis"), merges them in the order of time into `path` ("-":
 * standard output) and deletes them in Redis. Files that cannot be had whole are told on stderr and counted in
 * `*missing`. `*saved` (caller frees): what was written; NULL if there was nothing to be written. 0 or -errno with the
 * text in `err`.
 */
warn_unused int fleet_merge(struct fleet_bus *bus, const json_t *events, const char *path, size_t *missing,
			    char **saved, struct error *err);
