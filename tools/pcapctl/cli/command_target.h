/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a command goes: the daemon on this host, one elsewhere by its control API, or a fleet by its Redis. */
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
	char *socket;		    /* NULL: by `api` */
	char *api;		    /* "http[s]://host[:port]", no slash behind it */
	char *token;		    /* NULL: none; wiped at the end */
	char *ca_file;
	char *options; /* options that lead here again, " --socket PATH"; NULL: none is needed */
};

/*
 * The command line beats the environment; a fleet only where the command can be carried out there. 0, -EINVAL with the
 * text in `err`, or -ENOMEM. command_target_deinit either way.
 */
warn_unused int command_target_resolve(const struct command_line *line, struct command_target *target,
				       struct error *err);
void command_target_deinit(struct command_target *target);

/* What is to be typed behind a command that is to go to the same target; without secrets. "" or begins with a blank. */
const char *command_target_options(const struct command_target *target);
