/* A plain record; the secret in it does not outlive it in freed memory. */
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

int fleet_place_set(char **text, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

struct fleet_place *fleet_place_new(void)
{
	cleanup(cleanup_fleet_place) struct fleet_place *place = calloc(1, sizeof(*place));

	if (!place)
		return NULL;
	place->port = 6379;
	if (fleet_place_set(&place->host, "127.0.0.1") < 0 || fleet_place_set(&place->channel, "capture") < 0)
		return NULL;
	return take(place);
}

int fleet_place_finish(struct fleet_place *place)
{
	if (place->events)
		return 0;
	if (asprintf(&place->events, "%s:events", place->channel) >= 0)
		return 0;
	place->events = NULL;
	return -ENOMEM;
}

static int set_given(char **text, const char *value)
{
	return fleet_place_set(text, value && *value ? value : NULL);
}

static int copy_list(char **list, size_t *count, const struct config_strings *strings)
{
	for (size_t i = 0; i < strings->count && *count < FLEET_SENTINELS_MAX; i++) {
		if (fleet_place_set(&list[*count], strings->items[i]) < 0)
			return -ENOMEM;
		(*count)++;
	}
	return 0;
}

struct fleet_place *fleet_place_from_config(const struct config *config)
{
	cleanup(cleanup_fleet_place) struct fleet_place *place = fleet_place_new();

	if (!place)
		return NULL;
	place->port = (uint16_t)config->redis.port;
	place->tls = config->redis.tls;
	if (fleet_place_set(&place->host, config->redis.host) < 0 ||
	    fleet_place_set(&place->channel, config->redis.channel) < 0 ||
	    set_given(&place->events, config->redis.events) < 0 ||
	    set_given(&place->username, config->redis.username) < 0 ||
	    set_given(&place->password, config->redis.auth) < 0 ||
	    set_given(&place->ca_file, config->redis.ca_file) < 0 ||
	    set_given(&place->cert_file, config->redis.cert_file) < 0 ||
	    set_given(&place->key_file, config->redis.key_file) < 0 ||
	    set_given(&place->master, config->redis.master) < 0 ||
	    set_given(&place->sentinel_username, config->redis.sentinel_username) < 0 ||
	    set_given(&place->sentinel_password, config->redis.sentinel_auth) < 0 ||
	    copy_list(place->sentinels, &place->sentinel_count, &config->redis.sentinels) < 0 ||
	    copy_list(place->nodes, &place->node_count, &config->redis.nodes) < 0 || fleet_place_finish(place) < 0)
		return NULL;
	return take(place);
}

void fleet_place_free(struct fleet_place *place)
{
	if (!place)
		return;
	wipe(place->password);
	wipe(place->sentinel_password);
	free(place->host);
	free(place->username);
	free(place->ca_file);
	free(place->cert_file);
	free(place->key_file);
	free(place->channel);
	free(place->events);
	free(place->master);
	free(place->sentinel_username);
	for (size_t i = 0; i < place->sentinel_count; i++)
		free(place->sentinels[i]);
	for (size_t i = 0; i < place->node_count; i++)
		free(place->nodes[i]);
	free(place);
}
