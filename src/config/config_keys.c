/* SPDX-License-Identifier: BSD-2-Clause */
/* The file is read whole, as secrets are, and split in place. */
#include "config/config_keys.h"

#include <errno.h>
#include <string.h>

#include "base/printable.h"
#include "config/config.h"
#include "config/config_rules.h"
#include "config/config_secret.h"

#define BLANKS " \t\r"
#define SECRET_CHARACTERS PLAIN_CHARACTERS "~+/="

static void free_strings(struct config_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
}

static void clear_key(struct config_key *key)
{
	if (key->secret)
		explicit_bzero(key->secret, strlen(key->secret));
	free(key->secret);
	free(key->name);
	free_strings(&key->destinations);
	free_strings(&key->interfaces);
}

void config_keys_free(struct config_key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		clear_key(&keys[i]);
	free(keys);
}

static int add_item(struct config_strings *list, const char *item)
{
	char **grown = reallocarray(list->items, list->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->items = grown;
	grown[list->count] = strdup(item);
	return grown[list->count++] ? 0 : -ENOMEM;
}

/* "A,B" */
static int read_list(char *text, struct config_strings *list, const char *(*validate)(const char *text),
		     struct error *err)
{
	char *next = text;

	for (char *item; (item = strsep(&next, ","));) {
		const char *objection = *item ? validate(item) : "is empty";

		if (objection)
			return error_set(err, -EINVAL, "\"%.64s\" %s", item, objection);
		if (add_item(list, item) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_limit(char *word, struct config_key *key, struct error *err)
{
	static const char destinations[] = "destinations=", interfaces[] = "interfaces=";

	if (strncmp(word, destinations, strlen(destinations)) == 0)
		return read_list(word + strlen(destinations), &key->destinations, config_rule_destination, err);
	if (strncmp(word, interfaces, strlen(interfaces)) == 0)
		return read_list(word + strlen(interfaces), &key->interfaces, config_rule_interface, err);
	return error_set(err, -EINVAL, "after the secret only destinations=A,B and interfaces=A,B may come");
}

static int read_pair(char *word, struct config_key *key, struct error *err)
{
	static const char name_characters[] = PLAIN_CHARACTERS;
	char *secret = strchr(word, ':');
	const size_t name_size = secret ? (size_t)(secret - word) : 0, secret_size = secret ? strlen(secret + 1) : 0;

	if (!secret)
		return error_set(err, -EINVAL, "must be NAME:SECRET");
	*secret++ = '\0';
	if (!name_size || name_size > CONFIG_KEY_NAME_MAX || strspn(word, name_characters) != name_size)
		return error_set(err, -EINVAL, "the name must be 1 to %d of the characters A-Z a-z 0-9 . _ -",
				 CONFIG_KEY_NAME_MAX);
	if (secret_size < CONFIG_SECRET_MIN || secret_size > CONFIG_KEY_SECRET_MAX ||
	    strspn(secret, SECRET_CHARACTERS) != secret_size)
		return error_set(err, -EINVAL,
				 "the secret must be %d to %d of the characters A-Z a-z 0-9 . _ - ~ + / =, such as "
				 "`openssl rand -hex 32` prints",
				 CONFIG_SECRET_MIN, CONFIG_KEY_SECRET_MAX);
	key->name = strdup(word);
	key->secret = strdup(secret);
	return key->name && key->secret ? 0 : -ENOMEM;
}

static int read_line(char *line, struct config_key *key, struct error *err)
{
	char *next = line, *word = strsep(&next, BLANKS);
	int r = read_pair(word, key, err);

	while (r == 0 && (word = strsep(&next, BLANKS)))
		r = *word ? read_limit(word, key, err) : 0;
	return r;
}

static bool is_known(const struct config_key *keys, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i].name, name) == 0)
			return true;
	return false;
}

/* Adds the line's key, if it has one. */
static int add_line(char *line, struct config_key *keys, size_t *count, struct error *err)
{
	struct config_key key = {0};
	int r;

	line += strspn(line, BLANKS);
	if (!*line || *line == '#')
		return 0;
	if (*count == CONFIG_KEYS_MAX)
		return error_set(err, -EINVAL, "more than %d keys", CONFIG_KEYS_MAX);
	r = read_line(line, &key, err);
	if (r == 0 && is_known(keys, *count, key.name))
		r = error_set(err, -EINVAL, "the key \"%s\" is there already", key.name);
	if (r < 0)
		clear_key(&key);
	else
		keys[(*count)++] = key;
	return r;
}

static int add_lines(const char *path, char *text, struct config_key *keys, size_t *count, struct error *err)
{
	char *next = text;
	unsigned number = 1;

	for (char *line; (line = strsep(&next, "\n")); number++) {
		const int r = add_line(line, keys, count, err);

		if (r == -EINVAL)
			error_prefix(err, "%s: line %u", path, number);
		if (r < 0)
			return r;
	}
	return *count ? 0 : error_set(err, -EINVAL, "%s: has no key", path);
}

int config_keys_read(const char *path, struct config_key **result, size_t *result_count, struct error *err)
{
	char *text = calloc(1, CONFIG_SECRET_FILE_ROOM);
	struct config_key *keys = calloc(CONFIG_KEYS_MAX, sizeof(*keys));
	size_t count = 0;
	int r = text && keys ? config_secret_read(path, text, err) : -ENOMEM;

	if (r == 0)
		r = add_lines(path, text, keys, &count, err);
	if (text)
		explicit_bzero(text, CONFIG_SECRET_FILE_ROOM);
	free(text);
	if (r < 0) {
		config_keys_free(keys, count);
		return r;
	}
	*result = keys;
	*result_count = count;
	return 0;
}
