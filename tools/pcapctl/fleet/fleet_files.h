/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the files of captures that nodes left in Redis. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct fleet_bus;

#define FLEET_FILE_NAME_SIZE 256
#define FLEET_FILE_MAX (UINT64_C(16) << 30) /* bytes */

/* Takes bytes as they arrive; 0 or -errno. */
typedef int (*fleet_file_writer)(void *ctx, const void *bytes, size_t size);

/*
 * Reads a file, decompresses it if need be, and checks that it is complete. `name`: its node's name for it, without the
 * extension of a compression, untrusted. 0, -ENOENT if there is none,
 * -EINTR after Ctrl-C, or -errno; with the text in `err`.
 */
warn_unused int fleet_file_read(struct fleet_bus *bus, const char *key, fleet_file_writer put, void *ctx,
				char name[static FLEET_FILE_NAME_SIZE], struct error *err);
