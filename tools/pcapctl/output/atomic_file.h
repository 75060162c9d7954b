/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that is there whole or not at all, or standard output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct atomic_file;

/* `path`: where to, replaced if it is there; "-": standard output; NULL: a name is given when it is finished, in the
 * current directory. NULL with the text in `err`. */
struct atomic_file *atomic_file_new(const char *path, struct error *err);
void atomic_file_free(struct atomic_file *file); /* what is not finished is gone */

/* Whether atomic_file_new could, without leaving anything behind: before something is asked for whose answer would be
 * lost otherwise. 0 or -errno with the text in `err`. */
warn_unused int atomic_file_check(const char *path, struct error *err);

/* 0 or -errno; the error is kept for atomic_file_commit. */
warn_unused int atomic_file_write(struct atomic_file *file, const void *bytes, size_t size);

/*
 * Makes it appear. `suggested` is a peer's name for it, used without a path: reduced to harmless characters, and never
 * an existing file's. `*name` (caller frees; "-" for standard output) is what it is called. 0 or -errno.
 */
warn_unused int atomic_file_commit(struct atomic_file *file, const char *suggested, char **name, struct error *err);

CLEANUP_DEFINE(atomic_file, struct atomic_file, atomic_file_free)
