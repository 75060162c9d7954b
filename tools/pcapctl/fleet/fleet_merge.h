/* SPDX-License-Identifier: BSD-2-Clause */
/* Merges the files of a fleet's nodes into one. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct fleet_bus;

/*
 * Checks that the nodes' files can be kept in $TMPDIR, and that `path` can be written. 0 or -errno with the text in
 * `err`.
 */
warn_unused int fleet_merge_check(const char *path, struct error *err);

struct fleet_merge_options {
	const char *path;    /* "-": standard output */
	const char *missing; /* for the file's comment: nodes that are not in it; NULL: none */
};

/*
 * Reads the files that the events name (destination "redis"), merges them in time order into one and
 * deletes them from Redis; such an event then has the merged file ("saved") instead of the key. Files that are missing
 * or damaged are reported on stderr and counted in
 * `*missing`. `*saved` (caller frees): the file's name; unchanged if there was nothing to write. 0 or -errno with the
 * text in `err`.
 */
warn_unused int fleet_merge(struct fleet_bus *bus, const json_t *events, const struct fleet_merge_options *options,
			    size_t *missing, char **saved, struct error *err);
