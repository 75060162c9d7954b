/* SPDX-License-Identifier: BSD-2-Clause */
/* The recursion is as deep as the path has parts. */
#include "alert/alert_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct query {
	bool (*test)(void *ctx, const json_t *value);
	void *ctx;
};

static bool walk(const json_t *value, const char *path, const struct query *query);

/* What follows the first `size` bytes of the path. */
static const char *rest_of(const char *path, size_t size)
{
	return path[size] == '.' ? path + size + 1 : path + size;
}

/* The end of the part before the one that ends at `end`; 0: there is none. */
static size_t previous_dot(const char *path, size_t end)
{
	while (end > 0 && path[end - 1] != '.')
		end--;
	return end ? end - 1 : 0;
}

static bool walk_object(const json_t *object, const char *path, const struct query *query)
{
	for (size_t size = strlen(path); size > 0; size = previous_dot(path, size)) {
		const json_t *member = json_object_getn(object, path, size);

		if (member)
			return walk(member, rest_of(path, size), query);
	}
	return false;
}

static bool is_each(const char *part, size_t size)
{
	return size == 4 && memcmp(part, "each", 4) == 0;
}

static bool walk_array(const json_t *array, const char *path, const struct query *query)
{
	const size_t size = strcspn(path, ".");
	const char *rest = rest_of(path, size);

	if (is_each(path, size)) {
		size_t i;
		json_t *item;

		json_array_foreach(array, i, item)
		{
			if (walk(item, rest, query))
				return true;
		}
		return false;
	}
	if (!size || size > 9 || strspn(path, "0123456789") != size)
		return false;
	size_t index = 0;
	for (size_t i = 0; i < size; i++)
		index = index * 10 + (size_t)(path[i] - '0');
	const json_t *item = json_array_get(array, index);
	return item && walk(item, rest, query);
}

static bool walk(const json_t *value, const char *path, const struct query *query)
{
	if (!*path)
		return query->test(query->ctx, value);
	if (json_is_object(value))
		return walk_object(value, path, query);
	return json_is_array(value) && walk_array(value, path, query);
}

bool alert_path_test(const json_t *alert, const char *path, bool (*test)(void *ctx, const json_t *value), void *ctx)
{
	const struct query query = {.test = test, .ctx = ctx};

	return *path && walk(alert, path, &query);
}

static bool take_first(void *ctx, const json_t *value)
{
	const json_t **found = ctx;

	*found = value;
	return true;
}

const json_t *alert_path_find(const json_t *alert, const char *path)
{
	const json_t *found = NULL;

	(void)alert_path_test(alert, path, take_first, &found);
	return found;
}

bool alert_path_has_each(const char *path)
{
	for (const char *part = path; *part; part = rest_of(part, strcspn(part, ".")))
		if (is_each(part, strcspn(part, ".")))
			return true;
	return false;
}

bool alert_value_text(const json_t *value, char text[static ALERT_TEXT_SIZE])
{
	int size = -1;

	switch (json_typeof(value)) {
	case JSON_STRING:
		if (strlen(json_string_value(value)) == json_string_length(value))
			size = snprintf(text, ALERT_TEXT_SIZE, "%s", json_string_value(value));
		break;
	case JSON_INTEGER:
		size = snprintf(text, ALERT_TEXT_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		size = snprintf(text, ALERT_TEXT_SIZE, "%.17g", json_real_value(value));
		break;
	case JSON_TRUE:
		size = snprintf(text, ALERT_TEXT_SIZE, "true");
		break;
	case JSON_FALSE:
		size = snprintf(text, ALERT_TEXT_SIZE, "false");
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
	case JSON_NULL:
		break;
	}
	return size >= 0 && size < ALERT_TEXT_SIZE;
}
