/* SPDX-License-Identifier: BSD-2-Clause */
/* Between fleet_bus.c and those that ask it more than it offers everybody. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct fleet_bus;
struct redisReply;

#define FLEET_WORDS_MAX 65

/*
 * A command of up to FLEET_WORDS_MAX words without zero bytes; keys in it have the channel as their hash tag. Blocks.
 * `read` takes the answer, which is no error; it may be called again, if the connection is lost on the way. 0 or -errno
 * with the text in `err`.
 */
warn_unused int fleet_bus_ask(struct fleet_bus *bus, const char *const *words, size_t count,
			      int (*read)(void *ctx, const struct redisReply *reply, struct error *err), void *ctx,
			      struct error *err);

const char *fleet_bus_channel(const struct fleet_bus *bus);
