/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of names. A list must not be empty, duplicates count once, and every name must be valid: a request with one
 * unknown alias out of three is refused, not captured in part. Whether an interface exists is checked later.
 */
#include "request/request_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/network_interface.h"
#include "config/config.h"
#include "request/request_value.h"

#define NAMES_SIZE 512 /* of the names that a refusal lists */

/* Requires 1 to REQUEST_INTERFACES_MAX strings, none empty, none with a control character. */
static int check_list(struct request_draft *draft, const char *field, const json_t *list)
{
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return request_refuse(draft->refusal, field, "is empty");
	if (json_array_size(list) > REQUEST_INTERFACES_MAX)
		return request_refuse(draft->refusal, field, "has %zu entries; the limit is %d", json_array_size(list),
				      REQUEST_INTERFACES_MAX);
	json_array_foreach(list, i, item)
	{
		int r;

		if (!json_is_string(item))
			return request_refuse(draft->refusal, field, "entry %zu is not a string", i + 1);
		if (!json_string_length(item))
			return request_refuse(draft->refusal, field, "entry %zu is empty", i + 1);
		r = request_value_check_text(draft, field, item, REQUEST_STRING_MAX, TEXT_LINE);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Adds an interface unless it is listed. `alias` may be NULL. */
static int add_interface(struct request_draft *draft, const char *field, const char *name, const char *alias)
{
	struct request *request = draft->request;
	struct request_interface *interface;

	for (size_t i = 0; i < request->interface_count; i++)
		if (strcmp(request->interfaces[i].name, name) == 0)
			return 0;
	if (request->interface_count == REQUEST_INTERFACES_MAX)
		return request_refuse(draft->refusal, field, "stands for more than %d interfaces",
				      REQUEST_INTERFACES_MAX);
	interface = reallocarray(request->interfaces, request->interface_count + 1, sizeof(*interface));
	if (!interface)
		return request_refuse(draft->refusal, field, "out of memory");
	request->interfaces = interface;
	interface = &request->interfaces[request->interface_count++];
	interface->name = strdup(name);
	interface->alias = alias ? strdup(alias) : NULL;
	if (!interface->name || (alias && !interface->alias))
		return request_refuse(draft->refusal, field, "out of memory");
	return 0;
}

/* As ip(8) wants them; alternative names may be longer than others and may have a colon. Of white space, only the space
 * gets past the check for control characters. */
static bool is_interface_name(const char *name)
{
	return strlen(name) <= NETWORK_INTERFACE_ANY_NAME_MAX && !strpbrk(name, "/ ") && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

int request_list_set_interfaces(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	char quote[REQUEST_QUOTE_SIZE];
	const json_t *item;
	size_t i;
	int r = check_list(draft, field->name, value);

	if (r < 0)
		return r;
	json_array_foreach(value, i, item)
	{
		const char *name = json_string_value(item);

		if (!is_interface_name(name))
			return request_refuse(draft->refusal, field->name,
					      "\"%s\" is not a valid interface name (1 to %d bytes, no slash or space)",
					      request_text_quote(name, strlen(name), quote),
					      NETWORK_INTERFACE_ANY_NAME_MAX);
		r = add_interface(draft, field->name, name, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "cloudshark, memory and 7 more", or "none". Returns `text`. */
static const char *list_names(const char *const *names, size_t count, char text[static NAMES_SIZE])
{
	const size_t room = NAMES_SIZE - sizeof(" and 18446744073709551615 more");
	size_t used = (size_t)snprintf(text, NAMES_SIZE, "%s", count ? "" : "none");

	for (size_t i = 0; i < count; i++) {
		if (used + strlen(names[i]) + 2 >= room) {
			snprintf(text + used, NAMES_SIZE - used, " and %zu more", count - i);
			break;
		}
		used += (size_t)snprintf(text + used, NAMES_SIZE - used, "%s%s", i ? ", " : "", names[i]);
	}
	return text;
}

static int refuse_alias(struct request_draft *draft, const char *field, const char *alias)
{
	const struct config *config = draft->config;
	cleanup(cleanup_free) const char **known = NULL;
	char hint[REQUEST_HINT_SIZE], quote[REQUEST_QUOTE_SIZE], names[NAMES_SIZE];
	size_t count = 0;

	for (size_t i = 0; i < config->interface_count; i++)
		count += config->interfaces[i].alias.count;
	known = calloc(count + 1, sizeof(*known));
	if (!known)
		return request_refuse(draft->refusal, field, "out of memory");
	count = 0;
	for (size_t i = 0; i < config->interface_count; i++)
		for (size_t k = 0; k < config->interfaces[i].alias.count; k++)
			known[count++] = config->interfaces[i].alias.items[k];
	return request_refuse(draft->refusal, field, "no interface on this node has the alias \"%s\"%s; there are: %s",
			      request_text_quote(alias, strlen(alias), quote),
			      request_text_suggestion(alias, known, count, hint), list_names(known, count, names));
}

static bool has_alias(const struct config_interface *interface, const char *alias)
{
	for (size_t i = 0; i < interface->alias.count; i++)
		if (strcmp(interface->alias.items[i], alias) == 0)
			return true;
	return false;
}

/* An alias may stand for several interfaces, but must stand for at least one. */
int request_list_set_aliases(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	const struct config *config = draft->config;
	const json_t *item;
	size_t i;
	int r = check_list(draft, field->name, value);

	if (r < 0)
		return r;
	json_array_foreach(value, i, item)
	{
		const char *alias = json_string_value(item);
		bool found = false;

		for (size_t k = 0; k < config->interface_count; k++) {
			if (!has_alias(&config->interfaces[k], alias))
				continue;
			found = true;
			r = add_interface(draft, field->name, config->interfaces[k].name, alias);
			if (r < 0)
				return r;
		}
		if (!found)
			return refuse_alias(draft, field->name, alias);
	}
	return 0;
}

static bool is_listed(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* Repeated names count once. The caller frees the list, also after a refusal. */
static int read_destinations(struct request_draft *draft, const char *field, const json_t *value, char ***list,
			     size_t *count)
{
	char hint[REQUEST_HINT_SIZE], quote[REQUEST_QUOTE_SIZE], names[NAMES_SIZE];
	const json_t *item;
	size_t i;
	int r = check_list(draft, field, value);

	if (r < 0)
		return r;
	*list = calloc(draft->destination_count + 1, sizeof(char *)); /* room for all there are */
	if (!*list)
		return request_refuse(draft->refusal, field, "out of memory");
	json_array_foreach(value, i, item)
	{
		const char *name = json_string_value(item);

		if (!is_listed(name, draft->destinations, draft->destination_count))
			return request_refuse(draft->refusal, field,
					      "no destination \"%s\" is configured%s; there are: %s",
					      request_text_quote(name, strlen(name), quote),
					      request_text_suggestion(name, draft->destinations,
								      draft->destination_count, hint),
					      list_names(draft->destinations, draft->destination_count, names));
		if (is_listed(name, (const char *const *)*list, *count))
			continue;
		(*list)[*count] = strdup(name);
		if (!(*list)[*count])
			return request_refuse(draft->refusal, field, "out of memory");
		(*count)++;
	}
	return 0;
}

int request_list_set_destinations(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	struct request *request = draft->request;

	return read_destinations(draft, field->name, value, &request->destinations, &request->destination_count);
}

int request_list_set_first_of(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	struct request *request = draft->request;

	return read_destinations(draft, field->name, value, &request->first_of, &request->first_of_count);
}
