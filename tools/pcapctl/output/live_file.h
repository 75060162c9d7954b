/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a live capture's packets go: standard output, which is never waited for, or a file that has its name from its
 * first bytes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct live_file;

/* `path` as for atomic_file_new. NULL with the text in `err`. */
struct live_file *live_file_new(const char *path, struct error *err);
void live_file_free(struct live_file *file);

/* For poll: standard output if it may block, else -1. */
int live_file_fd(const struct live_file *file);

/*
 * Writes what can be written without waiting. `suggested`: the name, as for atomic_file_commit. Returns how much; 0:
 * nothing now; -EPIPE: the reader of standard output has gone; or -errno with the text in `err`.
 */
ssize_t live_file_write(struct live_file *file, const void *bytes, size_t size, const char *suggested,
			struct error *err);

/* Whether the reader of standard output has gone. */
bool live_file_is_closed(const struct live_file *file);

/* The file's name, "-" for standard output; NULL: nothing was written. */
const char *live_file_name(const struct live_file *file);

CLEANUP_DEFINE(live_file, struct live_file, live_file_free)
