/* SPDX-License-Identifier: BSD-2-Clause */
/* A secret whose file may be replaced while the program runs. Loop thread. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct secret;

#define SECRET_ROOM (64 * 1024 + 2) /* bytes of a text and its end */

/* Reads the file into `text` (of SECRET_ROOM bytes). 0, or a negative errno with `err`. */
typedef int (*secret_reader)(const void *ctx, const char *path, char *text, struct error *err);

/* `value` and `path` are copied; NULL or "" for `path`: the value never changes. NULL on ENOMEM. */
struct secret *secret_new(const char *value, const char *path, secret_reader read, const void *ctx);
void secret_free(struct secret *secret); /* wipes it */

/*
 * The value now: read again if the file was replaced or rewritten. A file that is gone or can't be read is logged once,
 * and leaves the value as it was. Valid until the next call. Never NULL.
 */
const char *secret_get(struct secret *secret);

/* Whether the text holds the value, or the one before it. Reads nothing again. */
bool secret_is_in(const struct secret *secret, const char *text);

/* How often the value has changed; call it after secret_get. */
unsigned secret_generation(const struct secret *secret);

CLEANUP_DEFINE(secret, struct secret, secret_free)
