/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * [[destination]]: a name, a type, and the keys of the type, which are those of the section of the type's name. The
 * reader hands over `type` first. Without a type that exists, other keys are not judged: one fault is enough.
 */
#include <string.h>

#include "base/suggest.h"
#include "config/config_loader.h"
#include "config/config_value.h"

#define SUBJECT_SIZE 160
#define NAMES_SIZE 512
#define NAMES_MAX (CONFIG_DESTINATIONS_MAX + 8)

void config_focus(struct config_loader *loader, size_t destination)
{
	loader->place = &loader->places[destination];
	loader->destination = &loader->config->destinations[destination];
	loader->type = loader->destination->type ? config_destination_type_find(loader->destination->type) : NULL;
}

void config_unfocus(struct config_loader *loader)
{
	loader->place = NULL;
	loader->destination = NULL;
	loader->type = NULL;
}

void *config_base_of(struct config_loader *loader, const struct config_row *row)
{
	if (!loader->place)
		return config_row_base(row, loader->config);
	if (loader->type && !strcmp(row->section, loader->type->name))
		return (char *)loader->destination + loader->type->offset;
	return config_row_base(row, loader->destination);
}

const char *config_credential_section(const struct config_loader *loader, const struct config_row *row,
				      char section[static CONFIG_SECTION_SIZE])
{
	if (!loader->place)
		return row->section;
	snprintf(section, CONFIG_SECTION_SIZE, "destination.%s", loader->destination->name);
	return section;
}

/* --- keys --- */

/* The types that have the key, as "a, b", or "". */
static void types_with_key(const char *key, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < config_destination_type_count && used < size; i++) {
		const struct config_destination_type *type = &config_destination_types[i];

		if (config_row_find_of_type(type, key))
			used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", type->name);
	}
}

static void add_unknown_key(struct config_loader *loader, const char *key, struct toml_location location)
{
	const char *keys[CONFIG_ROWS_MAX] = {0}, *near;
	char subject[SUBJECT_SIZE], types[128];

	for (size_t i = 0; i < config_row_count; i++)
		if (config_row_is_of_type(&config_rows[i], loader->type))
			keys[i] = config_rows[i].key;
	near = suggest(key, keys, config_row_count);
	snprintf(subject, sizeof(subject), "destination.%.64s", key);
	types_with_key(key, types, sizeof(types));
	if (config_row_find(loader->type->name, key))
		config_fault(loader, config_in_file(location), subject, "is a key of the section [%s] only",
			     loader->type->name);
	else if (types[0])
		config_fault(loader, config_in_file(location), subject, "is no key of the type \"%s\" (but of: %s)",
			     loader->type->name, types);
	else if (near)
		config_fault(loader, config_in_file(location), subject, "unknown key (did you mean %s?)", near);
	else
		config_fault(loader, config_in_file(location), subject, "unknown key");
}

/* The type is known now. */
static void set_type_defaults(struct config_loader *loader)
{
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (config_row_is_of_type(row, loader->type) && !strcmp(row->section, loader->type->name))
			config_set_default(loader, row, config_base_of(loader, row));
	}
}

void config_read_destination_key(struct config_loader *loader, const char *key, struct toml_location location,
				 const struct toml_value *value)
{
	const struct config_row *row = config_row_find_of_type(loader->type, key);
	char subject[SUBJECT_SIZE];

	if (!row && loader->type)
		add_unknown_key(loader, key, location);
	if (!row)
		return;
	snprintf(subject, sizeof(subject), "destination.%s", key);
	config_set(loader, row, value, config_in_file(value->location), subject, config_base_of(loader, row));
	if (!strcmp(key, "type")) {
		loader->type = config_destination_type_find(loader->destination->type);
		if (loader->type)
			set_type_defaults(loader);
	}
}

/* --- names --- */

static size_t known_names(const struct config *config, const char *names[static NAMES_MAX])
{
	static const char *const of_sections[] = {"cloudshark", "local", "memory", "redis", "http", "sftp", "s3"};
	size_t count = 0;

	for (; count < sizeof(of_sections) / sizeof(*of_sections); count++)
		names[count] = of_sections[count];
	for (size_t i = 0; i < config->destination_count; i++)
		if (config->destinations[i].name && *config->destinations[i].name)
			names[count++] = config->destinations[i].name;
	return count;
}

bool config_destination_is_known(const struct config *config, const char *name, struct error *why)
{
	const char *names[NAMES_MAX];
	const size_t count = known_names(config, names);
	char list[NAMES_SIZE];
	size_t used = 0;

	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	for (size_t i = 0; i < count && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 i == 0		  ? ""
					 : i + 1 == count ? " and "
							  : ", ",
					 names[i]);
	error_set(why, 0, "\"%s\" is no destination (there are %s)", name, list);
	return false;
}

/* Of requests.destinations and others. */
static void check_list(struct config_loader *loader, const char *section, const char *key)
{
	const struct config_row *row = config_row_find(section, key);
	const struct config_strings *list = (const void *)((const char *)config_base_of(loader, row) + row->offset);
	struct error why;

	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], "none") != 0 &&
		    !config_destination_is_known(loader->config, list->items[i], &why))
			config_row_fault(loader, row, "%s", why.text);
}

/* Whether there will be a destination of this name. */
static bool is_on(const struct config *config, const char *name)
{
	const struct {
		const char *name;
		bool on;
	} sections[] = {
		{"cloudshark", config->cloudshark.upload},
		{"local", config->general.writelocal},
		{"memory", config->memory.bytes > 0},
		{"redis", config->redis.listen},
		{"s3", config->s3.upload},
	};

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		if (!strcmp(sections[i].name, name))
			return sections[i].on;
	return true;
}

static void check_first_of(struct config_loader *loader)
{
	const struct config_row *row = config_row_find("general", "first_of");
	const struct config_strings *list = &loader->config->general.first_of;
	struct error why;

	for (size_t i = 0; i < list->count; i++) {
		if (!config_destination_is_known(loader->config, list->items[i], &why))
			config_row_fault(loader, row, "%s", why.text);
		else if (!is_on(loader->config, list->items[i]))
			config_row_fault(loader, row, "the destination \"%s\" is not switched on", list->items[i]);
	}
}

static void check_name(struct config_loader *loader, size_t number)
{
	const struct config_row *row = config_row_find("destination", "name");
	const struct config_destination *all = loader->config->destinations;

	if (!*all[number].name) {
		if (config_origin_of(loader, row)->layer == CONFIG_LAYER_DEFAULT)
			config_row_fault(loader, row, "is missing");
		return;
	}
	for (size_t i = 0; i < number; i++)
		if (!strcmp(all[i].name, all[number].name)) {
			config_row_fault(loader, row, "\"%s\" is the one in line %u already", all[i].name,
					 loader->places[i].location.line);
			return;
		}
}

void config_check_destinations(struct config_loader *loader)
{
	for (size_t i = 0; i < loader->config->destination_count; i++) {
		const struct config_row *type = config_row_find("destination", "type");

		config_focus(loader, i);
		check_name(loader, i);
		if (!loader->type && config_origin_of(loader, type)->layer == CONFIG_LAYER_DEFAULT)
			config_row_fault(loader, type, "is missing");
		config_unfocus(loader);
	}
	check_list(loader, "requests", "destinations");
	check_list(loader, "api.requests", "destinations");
	check_first_of(loader);
}
