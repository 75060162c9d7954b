/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths of the alert are listed up to a limit, and the one is suggested that is spelt like the wanted one, or ends like
 * it. */
#include "alert/alert_why.h"

#include <errno.h>
#include <string.h>

#include "alert/alert_path.h"
#include "base/suggest.h"
#include "request/request_text.h"

#define PATHS_MAX 256
#define DEPTH_MAX 8
#define KEYS_SHOWN 8

struct paths {
	char *items[PATHS_MAX];
	size_t count;
};

static void clear_paths(struct paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		free(paths->items[i]);
}

static void add_paths(struct paths *paths, const json_t *value, const char *prefix, int depth);

static void add_path(struct paths *paths, const json_t *value, const char *prefix, const char *key, int depth)
{
	cleanup(cleanup_free) char *path = NULL;

	if (asprintf(&path, "%s%s%s", prefix, *prefix ? "." : "", key) < 0) {
		path = NULL;
		return;
	}
	if (json_is_object(value) || json_is_array(value))
		add_paths(paths, value, path, depth - 1);
	else if (paths->count < PATHS_MAX)
		paths->items[paths->count++] = take(path);
}

/* Of arrays the first item stands for all. */
static void add_paths(struct paths *paths, const json_t *value, const char *prefix, int depth)
{
	const char *key;
	json_t *member;

	if (!depth)
		return;
	if (json_array_size(value))
		add_path(paths, json_array_get(value, 0), prefix, "each", depth);
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
	{
		add_path(paths, member, prefix, key, depth);
	}
}

static const char *last_part(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : path;
}

static const char *find_similar(const struct paths *paths, const char *wanted)
{
	const char *suggestion = suggest(wanted, (const char *const *)paths->items, paths->count);

	for (size_t i = 0; !suggestion && i < paths->count; i++)
		if (strcmp(last_part(paths->items[i]), last_part(wanted)) == 0)
			suggestion = paths->items[i];
	return suggestion;
}

/* The innermost object that the path leads to; `*size`: the bytes of its path, 0 for the alert itself. */
static const json_t *find_object(const json_t *alert, const char *path, size_t *size)
{
	char part[ALERT_PATH_MAX + 1];
	const json_t *found = NULL;

	snprintf(part, sizeof(part), "%s", path);
	for (char *dot; !json_is_object(found) && (dot = strrchr(part, '.'));) {
		*dot = '\0';
		found = alert_path_find(alert, part);
		*size = strlen(part);
	}
	if (json_is_object(found))
		return found;
	*size = 0;
	return alert;
}

/* "; alert.metadata has a, b, …" */
static void list_keys(const json_t *alert, const char *path, struct error *why)
{
	size_t size, at = strlen(why->text), shown = 0;
	const json_t *object = find_object(alert, path, &size);
	char quote[REQUEST_QUOTE_SIZE];
	const char *key;
	json_t *member;

	if (json_object_size(object))
		at += (size_t)snprintf(why->text + at, sizeof(why->text) - at, "; %.*s has ", (int)(size ? size : 9),
				       size ? path : "the alert");
	json_object_foreach((json_t *)(uintptr_t)object, key, member)
	{
		if (at < sizeof(why->text) && shown <= KEYS_SHOWN)
			at += (size_t)snprintf(why->text + at, sizeof(why->text) - at, "%s%s", shown ? ", " : "",
					       shown == KEYS_SHOWN ? "…" : request_text_quote(key, strlen(key), quote));
		shown++;
	}
}

static void add_hint(const json_t *alert, const char *path, struct error *why)
{
	struct paths paths = {.count = 0};
	char quote[REQUEST_QUOTE_SIZE];

	add_paths(&paths, alert, "", DEPTH_MAX);
	const char *similar = find_similar(&paths, path);
	const size_t at = strlen(why->text);
	if (similar)
		snprintf(why->text + at, sizeof(why->text) - at, "; did you mean %s?",
			 request_text_quote(similar, strlen(similar), quote));
	else
		list_keys(alert, path, why);
	clear_paths(&paths);
}

int alert_why_missing(const json_t *alert, const char *path, struct error *why)
{
	const json_t *value = why ? alert_path_find(alert, path) : NULL;

	if (!why)
		return -ENOENT;
	if (value)
		return error_set(why, -ENOENT, "%s is %s, not a text", path,
				 json_is_null(value)	? "null"
				 : json_is_array(value) ? "an array"
							: "an object");
	error_set(why, 0, "%s is missing", path);
	add_hint(alert, path, why);
	return -ENOENT;
}

int alert_why_type(const json_t *value, const char *path, enum alert_type type, struct error *why)
{
	char text[ALERT_TEXT_SIZE], quote[REQUEST_QUOTE_SIZE];

	if (!why)
		return -EINVAL;
	if (!alert_value_text(value, text))
		return error_set(why, -EINVAL, "%s is no %s", path, alert_type_name(type));
	return error_set(why, -EINVAL, "%s is \"%s\", which is no %s", path,
			 request_text_quote(text, strlen(text), quote), alert_type_name(type));
}
