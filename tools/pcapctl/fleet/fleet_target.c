/* SPDX-License-Identifier: BSD-2-Clause */
/* A plain record. Passwords are wiped before they are freed. */
#include "pcapctl/fleet/fleet_target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

int fleet_target_set(char **text, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

struct fleet_target *fleet_target_new(void)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->port = 6379;
	if (fleet_target_set(&target->host, "127.0.0.1") < 0 || fleet_target_set(&target->channel, "capture") < 0)
		return NULL;
	return take(target);
}

int fleet_target_complete(struct fleet_target *target)
{
	if (target->events)
		return 0;
	if (asprintf(&target->events, "%s:events", target->channel) >= 0)
		return 0;
	target->events = NULL;
	return -ENOMEM;
}

static int set_given(char **text, const char *value)
{
	return fleet_target_set(text, value && *value ? value : NULL);
}

static int copy_list(char **list, size_t *count, const struct config_strings *strings)
{
	for (size_t i = 0; i < strings->count && *count < FLEET_SENTINELS_MAX; i++) {
		if (fleet_target_set(&list[*count], strings->items[i]) < 0)
			return -ENOMEM;
		(*count)++;
	}
	return 0;
}

struct fleet_target *fleet_target_from_config(const struct config *config)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target = fleet_target_new();

	if (!target)
		return NULL;
	target->port = (uint16_t)config->redis.port;
	target->tls = config->redis.tls;
	target->allow_replica = config->redis.allow_replica;
	target->cluster = config->redis.cluster;
	if (fleet_target_set(&target->host, config->redis.host) < 0 ||
	    fleet_target_set(&target->channel, config->redis.channel) < 0 ||
	    set_given(&target->events, config->redis.events) < 0 ||
	    set_given(&target->username, config->redis.username) < 0 ||
	    set_given(&target->password, config->redis.auth) < 0 ||
	    set_given(&target->ca_file, config->redis.ca_file) < 0 ||
	    set_given(&target->cert_file, config->redis.cert_file) < 0 ||
	    set_given(&target->key_file, config->redis.key_file) < 0 ||
	    set_given(&target->master, config->redis.master) < 0 ||
	    set_given(&target->sentinel_username, config->redis.sentinel_username) < 0 ||
	    set_given(&target->sentinel_password, config->redis.sentinel_auth) < 0 ||
	    copy_list(target->sentinels, &target->sentinel_count, &config->redis.sentinels) < 0 ||
	    copy_list(target->nodes, &target->node_count, &config->redis.nodes) < 0 ||
	    fleet_target_complete(target) < 0)
		return NULL;
	return take(target);
}

void fleet_target_free(struct fleet_target *target)
{
	if (!target)
		return;
	wipe(target->password);
	wipe(target->sentinel_password);
	free(target->host);
	free(target->username);
	free(target->ca_file);
	free(target->cert_file);
	free(target->key_file);
	free(target->channel);
	free(target->events);
	free(target->master);
	free(target->sentinel_username);
	for (size_t i = 0; i < target->sentinel_count; i++)
		free(target->sentinels[i]);
	for (size_t i = 0; i < target->node_count; i++)
		free(target->nodes[i]);
	free(target);
}
