/* SPDX-License-Identifier: BSD-2-Clause */
/* Ids go into links, so only harmless ones are taken. A search may find names that merely contain the one asked for. */
#include "sink/cloudshark_answer.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

CLEANUP_DEFINE(json, json_t, json_decref)

static bool is_safe_id(const char *id)
{
	const size_t length = strlen(id);

	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr("_-", id[i]))
			return false;
	return length > 0 && length < CLOUDSHARK_ID_SIZE;
}

static bool read_id(const json_t *object, char id[static CLOUDSHARK_ID_SIZE])
{
	const json_t *value = json_object_get(object, "id");

	if (json_is_integer(value)) {
		snprintf(id, CLOUDSHARK_ID_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return true;
	}
	if (!json_is_string(value) || !is_safe_id(json_string_value(value)))
		return false;
	snprintf(id, CLOUDSHARK_ID_SIZE, "%s", json_string_value(value));
	return true;
}

bool cloudshark_answer_id(const char *body, size_t size, char id[static CLOUDSHARK_ID_SIZE])
{
	cleanup(cleanup_json) json_t *answer = json_loadb(body, size, 0, NULL);

	return read_id(answer, id);
}

void cloudshark_answer_exceptions(const char *body, size_t size, struct buffer *reasons)
{
	cleanup(cleanup_json) json_t *answer = json_loadb(body, size, 0, NULL);
	const json_t *exceptions = json_object_get(answer, "exceptions"), *exception;
	size_t index;

	json_array_foreach(exceptions, index, exception)
	{
		cleanup(cleanup_free) char *dumped = json_is_string(exception) ? strdup(json_string_value(exception))
									       : json_dumps(exception, JSON_ENCODE_ANY);

		if (dumped && buffer_printf(reasons, "%s%s", reasons->size ? "; " : "", dumped) < 0)
			return;
	}
	if (json_is_string(exceptions))
		(void)!buffer_append_string(reasons, json_string_value(exceptions));
}

enum cloudshark_search cloudshark_answer_find(const char *body, size_t size, const char *filename,
					      char id[static CLOUDSHARK_ID_SIZE])
{
	cleanup(cleanup_json) json_t *answer = json_loadb(body, size, 0, NULL);
	const json_t *captures = json_object_get(answer, "captures"), *capture;
	enum cloudshark_search result = json_is_array(captures) ? CLOUDSHARK_ABSENT : CLOUDSHARK_UNCLEAR;
	size_t index;

	json_array_foreach(captures, index, capture)
	{
		const char *name = json_string_value(json_object_get(capture, "filename"));

		if (name && strcmp(name, filename) == 0 && read_id(capture, id))
			return CLOUDSHARK_FOUND;
		if (!name || strcmp(name, filename) == 0)
			result = CLOUDSHARK_UNCLEAR;
	}
	return result;
}
