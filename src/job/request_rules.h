/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What requests of an origin may ask for ([requests], [api.requests]). A refusal names the rule. Loop thread.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config;
struct config_key;
struct config_requests;
struct deliveries;
struct engine;
struct history_stream_spec;
struct request;

struct request_rules {
	const struct config *config;
	const struct config_requests *allowed;
	const struct deliveries *deliveries;
	struct engine *engine;
};

/* 0, or -EACCES with `err` ("<field>: …") and `*field`. */
warn_unused int request_rules_check(const struct request_rules *rules, const struct request *request,
				    const char **field, struct error *err);

/* The same for the history stream. Sets what its packets must match; one that asks for all there is gets what it may
 * have. */
warn_unused int request_rules_check_history(const struct config_requests *allowed, struct engine *engine,
					    struct history_stream_spec *spec, struct error *err);

/* Whether a request signed with this key (NULL: unsigned) may end the captures of another one: that one has the same
 * origin and key, or this one may capture on all of its interfaces. */
bool request_rules_allow_stop(const struct request_rules *rules, const struct config_key *key,
			      const struct request *other);
