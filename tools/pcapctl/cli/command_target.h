/* Where a command goes: the daemon on this host, one elsewhere by its control API, or a fleet by its Redis. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct command_line;
struct fleet_place;

#define PLACE_SOCKET_DEFAULT "/run/pcapdaemon/control.sock"
#define PLACE_REDIS_DEFAULT "redis://127.0.0.1:6379/capture"
#define PLACE_CONFIG_DEFAULT "/etc/pcapdaemon/pcapdaemon.toml"

struct place {
	struct fleet_place *fleet; /* NULL: one daemon */
	char *socket;		   /* NULL: by `api` */
	char *api;		   /* "http[s]://host[:port]", no slash behind it */
	char *token;		   /* NULL: none; wiped at the end */
	char *ca_file;
	char *words; /* options that lead here again, " --socket PATH"; NULL: none is needed */
};

/*
 * The command line beats the environment; a fleet only where the command can be carried out there. 0, -EINVAL with the
 * text in `err`, or -ENOMEM. place_deinit either way.
 */
warn_unused int place_find(const struct command_line *line, struct place *place, struct error *err);
void place_deinit(struct place *place);

/* What is to be typed behind a command that is to go to the same place; without secrets. "" or begins with a blank. */
const char *place_words(const struct place *place);
