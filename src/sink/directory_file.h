/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One file's way into a directory: a temporary name of its own, then the final one, which replaces nothing. Part of the
 * directory sink. All calls may block; any thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* Names are made safe long before; an unsafe one must not lead out of the directory. */
bool directory_file_is_plain(const char *name);

/* Whether the condition of this errno may pass: space is freed, a mount returns, descriptors are closed. */
bool directory_file_may_pass(int code);

/* Creates a new file. Returns its descriptor, with its name (".<name>.part") in `temporary`, or a negative errno. */
warn_unused int directory_file_create(int directory_fd, const char *name, char temporary[static NAME_MAX + 1]);

/* 0 or a negative errno. */
warn_unused int directory_file_write(int fd, const uint8_t *bytes, size_t size);

/* Gives the file its final name, `given`, with a number before the extension if the name is taken; flushes the
 * directory. On success the temporary name is gone. 0, or a negative errno and `*what` could not be done. */
warn_unused int directory_file_name(int directory_fd, const char *temporary, const char *name,
				    char given[static NAME_MAX + 1], const char **what);

/* "<path>/<name>"; "" if that is too long to report. */
void directory_file_url(char *url, size_t size, const char *path, const char *name);
