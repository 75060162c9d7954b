/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that appears complete or not at all, or standard output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct atomic_file;

/*
 * `path`: replaced if it exists; "-": standard output; NULL: atomic_file_commit names the file, in the current
 * directory. NULL with the text in `err`.
 */
struct atomic_file *atomic_file_new(const char *path, struct error *err);
void atomic_file_free(struct atomic_file *file); /* discards a file that was not committed */

/*
 * Checks that atomic_file_new would succeed, and leaves nothing behind: called before asking for packets, which would
 * be lost otherwise. 0 or -errno with the text in `err`.
 */
warn_unused int atomic_file_check(const char *path, struct error *err);

/* 0 or -errno; the error is kept for atomic_file_commit. After that it writes to the file that has appeared. */
warn_unused int atomic_file_write(struct atomic_file *file, const void *bytes, size_t size);

/*
 * Makes the file appear. `suggested`: a peer's name for it, used without a path: reduced to harmless characters, and
 * never an existing file's. `*name` (caller frees): the file's name, "-" for standard output. 0 or -errno with the text
 * in `err`.
 */
warn_unused int atomic_file_commit(struct atomic_file *file, const char *suggested, char **name, struct error *err);

CLEANUP_DEFINE(atomic_file, struct atomic_file, atomic_file_free)
