/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a fleet's Redis is and what its channels and keys are called; owns its strings. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct config;

#define FLEET_NAME_MAX 4096 /* bytes of any text in it */
#define FLEET_SENTINELS_MAX 16

struct fleet_target {
	char *host;
	uint16_t port;
	bool tls;
	char *username, *password; /* NULL: none; the password is wiped at the end */
	char *ca_file, *cert_file, *key_file;
	char *channel, *events; /* never NULL */

	char *master;			      /* of Sentinel; NULL: `host` is the server itself */
	char *sentinels[FLEET_SENTINELS_MAX]; /* "host:port" */
	size_t sentinel_count;
	char *sentinel_username, *sentinel_password;
	char *nodes[FLEET_SENTINELS_MAX]; /* more nodes to try, "host:port" */
	size_t node_count;
};

/* With the defaults of the daemon (127.0.0.1:6379, channel "capture"). NULL on ENOMEM. */
struct fleet_target *fleet_target_new(void);

/* What a daemon with this configuration would use. NULL on ENOMEM. */
struct fleet_target *fleet_target_from_config(const struct config *config);
void fleet_target_free(struct fleet_target *target);

/* Replaces a text of the target (NULL: none). 0 or -ENOMEM. */
warn_unused int fleet_target_set(char **text, const char *value);

/* "<channel>:events" unless it was named. 0 or -ENOMEM. */
warn_unused int fleet_target_complete(struct fleet_target *target);

CLEANUP_DEFINE(fleet_target, struct fleet_target, fleet_target_free)
