/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of fleet_bus. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct fleet_bus;
struct redisReply;

#define FLEET_WORDS_MAX 65

/*
 * Sends a command of up to FLEET_WORDS_MAX words without NUL bytes, whose keys have the channel as their hash tag, and
 * waits for the reply. `read` takes the reply, unless it is an error. 0 or -errno with the text in `err`.
 */
warn_unused int fleet_bus_ask(struct fleet_bus *bus, const char *const *words, size_t count,
			      int (*read)(void *ctx, const struct redisReply *reply, struct error *err), void *ctx,
			      struct error *err);

struct fleet_words {
	const char *const *words;
	size_t count;
};

/*
 * Sends commands that are no key's, one right after the other over one connection, none of them twice, and waits for
 * all. Replies are ignored; for each command 0 or -errno in `codes`, with the text in `errors`. 0 or -errno with `err`.
 */
warn_unused int fleet_bus_ask_all(struct fleet_bus *bus, const struct fleet_words *commands, size_t count, int *codes,
				  struct error *errors, struct error *err);

const char *fleet_bus_channel(const struct fleet_bus *bus);
