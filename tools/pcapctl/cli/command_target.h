/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which daemons a command addresses: the one on this host, one elsewhere over its control API, or a fleet over Redis.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct command_line;
struct fleet_target;

#define TARGET_SOCKET_DEFAULT "/run/pcapdaemon/control.sock"
#define TARGET_REDIS_DEFAULT "redis://127.0.0.1:6379/capture"
#define TARGET_CONFIG_DEFAULT "/etc/pcapdaemon/pcapdaemon.toml"

struct command_target {
	struct fleet_target *fleet; /* NULL: one daemon */
	char *socket;		    /* NULL: use `api` */
	char *api;		    /* "http[s]://host[:port]", without a trailing slash */
	char *token;		    /* NULL: none; wiped before it is freed */
	char *ca_file;
	char *options; /* options that select the same target, as " --socket PATH"; NULL: none needed */
};

/*
 * The command line takes precedence over the environment. Selects a fleet only for a command that works on one. 0 or
 * -errno with the text in `err`. Call command_target_deinit either way.
 */
warn_unused int command_target_resolve(const struct command_line *line, struct command_target *target,
				       struct error *err);
void command_target_deinit(struct command_target *target);

/* The options, without secrets, that make another command address the same target. "" or begins with a blank. */
const char *command_target_options(const struct command_target *target);
