/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory of the spool: files that could not be delivered, each with its state, until they are. All calls may
 * block; one at a time, any thread.
 *
 * An entry is the file NAME and its state NAME.spool. The file gets its name last and loses it first, so an entry is
 * whole or not there. The directory may have other files.
 */
#pragma once

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "base/error.h"

struct spool_directory;

#define SPOOL_ENTRIES_MAX 100000
#define SPOOL_STATE_MAX (1u << 20) /* bytes */

struct spool_usage {
	uint64_t files, bytes; /* bytes: of the files */
};

/* Locks the directory for this process, removes what a killed one has left half-written, and counts the entries. 0, or
 * a negative errno with `err`: -EBUSY if another process has it. */
warn_unused int spool_directory_open(const char *path, struct spool_directory **directory, struct error *err);
void spool_directory_close(struct spool_directory *directory);

struct spool_usage spool_directory_usage(const struct spool_directory *directory);

/*
 * Writes an entry, which is on the disk once this returns 0. `name`: a plain file name. -EDQUOT with `err` if the files
 * would have more than `max_bytes` (0: no limit), -ECANCELED once `*stop` is set, or another -errno with `err`.
 */
warn_unused int spool_directory_put(struct spool_directory *directory, const char *name, struct byte_stream *file,
				    const char *state, uint64_t max_bytes, const atomic_bool *stop, struct error *err);

/* Replaces the state. 0 or -errno: then the old one remains. */
warn_unused int spool_directory_update(struct spool_directory *directory, const char *name, const char *state);

/* 0 or -errno: then it remains. */
warn_unused int spool_directory_remove(struct spool_directory *directory, const char *name);

/* The names of all entries, the oldest first; `*names` is one block that the caller frees. 0 or -errno. */
warn_unused int spool_directory_list(const struct spool_directory *directory, char (**names)[NAME_MAX + 1],
				     size_t *count);

/* The state as text, which the caller frees, or NULL: there is none, or it cannot be read. */
char *spool_directory_state(const struct spool_directory *directory, const char *name);

/* Opens the file and reads it once, so that later reads find it in the page cache. A descriptor or -errno. */
warn_unused int spool_directory_open_file(const struct spool_directory *directory, const char *name,
					  uint64_t *size_bytes, const atomic_bool *stop);

CLEANUP_DEFINE(spool_directory, struct spool_directory, spool_directory_close)
