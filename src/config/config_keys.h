/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of keys that sign requests. A line is NAME:SECRET, and may go on with " destinations=A,B" and "
 * interfaces=A,B", which are all that the key may ask for; empty lines and lines that begin with # do not count. The
 * HMAC's key is the text of SECRET.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config_key;

#define CONFIG_KEYS_MAX 256

/* Reads a file that only its owner and group may read. 0 and at least one key, which the caller frees; -EINVAL with
 * `err`, which names the line and no secret; or -ENOMEM. */
warn_unused int config_keys_read(const char *path, struct config_key **keys, size_t *count, struct error *err);
void config_keys_free(struct config_key *keys, size_t count); /* overwrites the secrets */
