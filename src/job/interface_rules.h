/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which interfaces requests of an origin, and of a key, may capture on. A name in a list stands for the device that has
 * it now, whatever name a request uses for that device. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct config_key;
struct config_requests;
struct config_strings;
struct engine;
struct engine_target;

/* A list of names and what they mean now. */
struct interface_rule {
	const struct config_strings *names;
	int *indexes; /* of the devices; 0: none has the name. NULL: the list is empty, or out of memory */
};

struct interface_rules {
	struct engine *engine;
	struct interface_rule origin, key;
};

/* `key`: the request's, or NULL. */
void interface_rules_init(struct interface_rules *rules, struct engine *engine, const struct config_requests *allowed,
			  const struct config_key *key);
void interface_rules_deinit(struct interface_rules *rules);

/* What a list says about what was named `name` and means this target. */
bool interface_rule_allows(const struct interface_rules *rules, const struct interface_rule *rule, const char *name,
			   const struct engine_target *target);

/* What both lists say. */
bool interface_rules_allow(const struct interface_rules *rules, const char *name, const struct engine_target *target);

/* Whether both lists have the name itself, so that it may be used for whatever has or had it. */
bool interface_rules_list(const struct interface_rules *rules, const char *name);
