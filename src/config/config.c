/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading: defaults, then the command line, then the file it names (which does not override the command line), then
 * secrets, then derived values, then checks across keys. Faults are collected, so that one run shows them all.
 */
#include "config/config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/network_interface.h"
#include "config/config_keyring.h"
#include "config/config_loader.h"
#include "config/config_value.h"

static int loader_init(struct config_loader *loader)
{
	loader->config = calloc(1, sizeof(*loader->config));
	if (!loader->config)
		return -ENOMEM;
	config_set_defaults(loader, NULL, loader->config);
	return 0;
}

static void loader_free(struct config_loader *loader)
{
	config_faults_deinit(loader);
	free(loader->unit);
	config_free(loader->config);
	free(loader);
}

CLEANUP_DEFINE(loader, struct config_loader, loader_free)

static void replace_text(struct config_loader *loader, const char *section, const char *key, const char *text)
{
	const struct config_row *row = config_row_find(section, key);

	if (config_value_set_text(row, config_row_base(row, loader->config), text) < 0)
		loader->out_of_memory = true;
}

/* Whether nothing is configured. These options only name or describe this run; -config sets the file. */
static bool is_embedded(const struct config_loader *loader)
{
	static const char *const neutral[] = {"node", "check", "destinations", "user", "loglevel"};

	if (loader->file || loader->config->requests.keyring)
		return false;
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];
		bool counts = loader->origins[i].layer != CONFIG_LAYER_DEFAULT ||
			      (row->type == CONFIG_SECRET && loader->origins[i].on); /* a credential */

		for (size_t k = 0; counts && row->option && k < sizeof(neutral) / sizeof(*neutral); k++)
			counts = strcmp(row->option, neutral[k]) != 0;
		if (counts)
			return false;
	}
	return true;
}

/* Sets what is not configured and depends on other values or the host. */
static void derive(struct config_loader *loader)
{
	struct config *config = loader->config;
	char host[HOST_NAME_MAX + 1] = "";

	if (!*config->general.node) {
		if (gethostname(host, sizeof(host)) < 0 || !*host)
			config_fault(loader, (struct config_origin){0}, "general.node",
				     "must be given: the machine has no host name");
		host[HOST_NAME_MAX] = '\0';
		replace_text(loader, "general", "node", host);
	}
	config->embedded = is_embedded(loader);
	if (config->embedded)
		config->redis.listen = false;
	if (!*config->redis.events) {
		char events[CONFIG_STRING_MAX + sizeof(":events")];

		snprintf(events, sizeof(events), "%s:events", config->redis.channel);
		replace_text(loader, "redis", "events", events);
	}
	if (!*config->redis.group)
		replace_text(loader, "redis", "group", config->general.node);
	for (size_t i = 0; i < config_row_count; i++)
		if (config_rows[i].section && !strcmp(config_rows[i].section, "redis"))
			config->redis.configured |= loader->origins[i].layer != CONFIG_LAYER_DEFAULT;
	if (!*config->requests.nonces_file && config->requests.keyring && *config->api.socket) {
		char path[CONFIG_STRING_MAX + sizeof(".nonces")];

		snprintf(path, sizeof(path), "%s.nonces", config->api.socket);
		replace_text(loader, "requests", "nonces_file", path);
	}
	config->requests.section = "requests";
	config->requests.resolve_rule = "requests.resolve";
	config->api.requests.section = "api.requests";
	config->api.requests.resolve_rule = "api.requests.resolve";
	config->api.configured =
		config_origin_of(loader, config_row_find("api", "socket"))->layer != CONFIG_LAYER_DEFAULT;
}

static int finish(struct config_loader *loader, struct buffer *faults, struct config **config)
{
	if (loader->fault_count > 0)
		config_faults_print(loader, faults);
	if (loader->out_of_memory)
		return -ENOMEM;
	if (loader->fault_count > loader->warning_count)
		return -EINVAL;
	if (!*loader->config->path)
		config_value_clear(config_row_find_option("config"), loader->config);
	*config = take(loader->config);
	return 0;
}

static void complete(struct config_loader *loader)
{
	config_read_secrets(loader);
	if (loader->out_of_memory)
		return;
	derive(loader);
	if (loader->out_of_memory)
		return;
	if (loader->for_client)
		config_check_for_client(loader);
	else
		config_check(loader);
	if (!loader->out_of_memory && loader->config->check)
		config_host_check(loader);
}

int config_load(int argc, char **argv, config_filter_validator validate_filter, struct buffer *faults,
		struct config **config)
{
	cleanup(cleanup_loader) struct config_loader *loader = calloc(1, sizeof(*loader));

	if (!loader || loader_init(loader) < 0)
		return -ENOMEM;
	loader->validate_filter = validate_filter;
	config_read_arguments(loader, argc, argv);
	if (loader->out_of_memory || loader->config->help || loader->config->version)
		return finish(loader, faults, config);
	config_host_prepare(loader);
	if (*loader->config->path) {
		loader->file = loader->config->path;
		config_read_file(loader);
	}
	if (!loader->out_of_memory && !loader->unreadable)
		complete(loader);
	return finish(loader, faults, config);
}

static struct config_loader *text_loader_new(const char *name)
{
	cleanup(cleanup_loader) struct config_loader *loader = calloc(1, sizeof(*loader));

	if (!loader || loader_init(loader) < 0)
		return NULL;
	loader->file = name;
	return take(loader);
}

static int load_text(struct config_loader *loader, const char *text, size_t size, struct buffer *faults,
		     struct config **config)
{
	if (!loader->out_of_memory)
		config_read_text(loader, text, size);
	if (!loader->out_of_memory && !loader->unreadable)
		complete(loader);
	return finish(loader, faults, config);
}

int config_load_text(const char *text, size_t size, const char *name, config_filter_validator validate_filter,
		     struct buffer *faults, struct config **config)
{
	cleanup(cleanup_loader) struct config_loader *loader = text_loader_new(name);

	if (!loader)
		return -ENOMEM;
	loader->validate_filter = validate_filter;
	return load_text(loader, text, size, faults, config);
}

int config_load_text_for_client(const char *text, size_t size, const char *name, struct buffer *faults,
				struct config **config)
{
	cleanup(cleanup_loader) struct config_loader *loader = text_loader_new(name);

	if (!loader)
		return -ENOMEM;
	loader->for_client = true;
	return load_text(loader, text, size, faults, config);
}

static void clear_type_keys(struct config_destination *destination)
{
	const struct config_destination_type *type =
		destination->type ? config_destination_type_find(destination->type) : NULL;

	for (size_t i = 0; type && i < config_row_count; i++)
		if (config_row_is_of_type(&config_rows[i], type) && !strcmp(config_rows[i].section, type->name))
			config_value_clear(&config_rows[i], (char *)destination + type->offset);
}

/* The keys of a repeated section; NULL: those of all others. */
static void clear_keys(const struct config_section *section, void *base)
{
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];
		const struct config_section *own = row->section ? config_section_find(row->section) : NULL;

		if (section ? own == section : !own || !own->repeated)
			config_value_clear(row, config_row_base(row, base));
	}
}

static void clear_items(struct config *config, const struct config_section *section)
{
	char *items = *(char **)(void *)((char *)config + section->items_offset);
	const size_t count = *(const size_t *)(const void *)((const char *)config + section->count_offset);

	for (size_t i = 0; i < count; i++)
		clear_keys(section, items + i * section->item_bytes);
	free(items);
}

bool config_wants_promiscuous(const struct config *config, const char *interface)
{
	for (size_t i = 0; i < config->interface_count; i++) {
		const struct config_interface *entry = &config->interfaces[i];

		if (!entry->promiscuous && network_interface_is_same(entry->name, interface))
			return false;
	}
	return true;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->destination_count; i++)
		clear_type_keys(&config->destinations[i]);
	for (size_t i = 0; i < config_section_count; i++) {
		if (config_sections[i].repeated)
			clear_items(config, &config_sections[i]);
	}
	config_keyring_free(config->requests.keyring);
	config_keyring_free(config->api.alert_tokens);
	config_keyring_free(config->api.alert_keys);
	config_keyring_free(config->rules.keyring);
	if (config->cloudshark.customer_tokens)
		explicit_bzero(config->cloudshark.customer_tokens, strlen(config->cloudshark.customer_tokens));
	free(config->cloudshark.customer_tokens);
	free(config->unread);
	clear_keys(NULL, config);
	free(config);
}
