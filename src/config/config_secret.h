/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that hold a secret. */
#pragma once

#include <limits.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config_row;

#define CONFIG_SECRET_FILE_MAX (64 * 1024) /* bytes of a file */
#define CONFIG_SECRET_FILE_ROOM (CONFIG_SECRET_FILE_MAX + 2)

/*
 * Reads the file, without its last newline, as a text into `secret` (of CONFIG_SECRET_FILE_ROOM bytes). -EINVAL and
 * `err`: it is no regular file, is empty or too large, holds a NUL, or others may read or write it.
 */
warn_unused int config_secret_read(const char *path, char *secret, struct error *err);

/* The same while the daemon runs: the text must also be valid for this row. */
warn_unused int config_secret_read_again(const struct config_row *row, const char *path, char *secret,
					 struct error *err);

/* Reads a file of tokens by customer (base/customer_tokens.h) in the same way: each token must be valid. -ENOMEM, too.
 */
warn_unused int config_secret_read_customers(const char *path, char *text, struct error *err);

/* Fills `path` with that of the systemd credential "section.key". Returns it, or "" if there is none. */
const char *config_secret_credential(const char *section, const char *key, char path[static PATH_MAX]);

/* Whether only the owner and the group may read or write the file. 0, or -EINVAL with `err`. */
warn_unused int config_secret_check_mode(const char *path, struct error *err);
