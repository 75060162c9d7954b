/* SPDX-License-Identifier: BSD-2-Clause */
/* The address, credentials and channels of a fleet's Redis; owns its strings. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct config;

#define FLEET_SENTINELS_MAX 16 /* and as many nodes */

struct fleet_target {
	char *host;
	uint16_t port;
	bool tls;
	bool allow_replica;	   /* configured: a server that is a replica will do */
	bool cluster;		   /* the server may send us elsewhere */
	char *username, *password; /* NULL: none */
	char *ca_file, *cert_file, *key_file;
	char *channel, *events; /* `events`: NULL until fleet_target_complete */

	char *master;			      /* Sentinel's name for it; NULL: `host` is the server itself */
	char *sentinels[FLEET_SENTINELS_MAX]; /* "host:port" */
	size_t sentinel_count;
	char *sentinel_username, *sentinel_password;
	char *nodes[FLEET_SENTINELS_MAX]; /* more nodes to try, "host:port" */
	size_t node_count;
};

/* With the daemon's defaults (127.0.0.1:6379, channel "capture"). NULL on ENOMEM. */
struct fleet_target *fleet_target_new(void);

/* The Redis of a daemon with this configuration. NULL on ENOMEM. */
struct fleet_target *fleet_target_from_config(const struct config *config);
void fleet_target_free(struct fleet_target *target);

/* Replaces a text of the target (NULL: none). 0 or -ENOMEM. */
warn_unused int fleet_target_set(char **text, const char *value);

/* Sets `events` to "<channel>:events" unless it is set. 0 or -ENOMEM. */
warn_unused int fleet_target_complete(struct fleet_target *target);

CLEANUP_DEFINE(fleet_target, struct fleet_target, fleet_target_free)
