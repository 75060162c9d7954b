/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single values. 0 and "" mean "not given": requests are often made from structs that send every member. Integers must
 * be JSON integers: 50.0 and 5e1 are refused like 50.5, which means nothing as a number of packets.
 */
#include "request/request_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"
#include "base/quantity.h"
#include "config/config.h"

#define REQUEST_TIME_MAX 64 /* bytes of a time as text */
#define REQUEST_SIZE_TEXT_MAX 32
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

int request_value_check_text(struct request_draft *draft, const char *field, const json_t *value, size_t max,
			     enum request_text_kind kind)
{
	const char *text = json_string_value(value);
	size_t size = json_string_length(value);

	if (size > max)
		return request_refuse(draft->refusal, field, "is %zu bytes long; the limit is %zu", size, max);
	if (memchr(text, '\0', size))
		return request_refuse(draft->refusal, field, "contains a NUL character");
	if (request_text_has_control(text, size, kind))
		return request_refuse(draft->refusal, field, "contains a control character");
	return 0;
}

int request_value_set_text(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	char **target = (char **)((char *)draft->request + field->offset);
	int r = request_value_check_text(draft, field->name, value, field->bytes_max, field->kind);

	if (r < 0 || !json_string_length(value))
		return r;
	*target = strdup(json_string_value(value));
	return *target ? 0 : request_refuse(draft->refusal, field->name, "out of memory");
}

bool request_value_is_plain(const json_t *value)
{
	static const char allowed[] = PLAIN_CHARACTERS;
	size_t size = json_string_length(value);

	return size > 0 && size < REQUEST_ID_SIZE && strspn(json_string_value(value), allowed) == size;
}

bool request_value_read_id(const json_t *message, char id[static REQUEST_ID_SIZE])
{
	const json_t *value = json_object_get(message, "id");

	if (!request_value_is_plain(value))
		return false;
	memcpy(id, json_string_value(value), json_string_length(value) + 1);
	return true;
}

static int refuse_not_plain(const struct request_draft *draft, const struct request_field *field)
{
	return request_refuse(draft->refusal, field->name, "must be 1 to %d of the characters A-Z a-z 0-9 . _ -",
			      REQUEST_ID_SIZE - 1);
}

int request_value_set_id(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	if (!request_value_is_plain(value))
		return refuse_not_plain(draft, field);
	memcpy(draft->request->id, json_string_value(value), json_string_length(value) + 1);
	draft->request->id_given = true;
	return 0;
}

/* A rule of this node has named its request already. */
int request_value_set_rule(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	struct request *request = draft->request;

	if (!json_string_length(value))
		return 0;
	if (!request_value_is_plain(value))
		return refuse_not_plain(draft, field);
	if (!request->rule)
		request->rule = strdup(json_string_value(value));
	return request->rule ? 0 : request_refuse(draft->refusal, field->name, "out of memory");
}

const char *request_value_alert_field(const json_t *message)
{
	static const char *const fields[] = {"alertid", "alertstr"};

	for (size_t i = 0; i < COUNT(fields); i++) {
		const json_t *value = json_object_get(message, fields[i]);

		if (json_integer_value(value) || json_string_length(value))
			return fields[i];
	}
	return NULL;
}

int request_value_set_alertid(struct request_draft *draft, const json_t *message)
{
	const char *field = request_value_alert_field(message);
	const json_t *value = field ? json_object_get(message, field) : NULL;
	int r;

	if (!value)
		return 0;
	draft->request->alertid_is_integer = json_is_integer(value);
	if (json_is_integer(value)) {
		if (asprintf(&draft->request->alertid, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0)
			draft->request->alertid = NULL;
	} else {
		r = request_value_check_text(draft, field, value, REQUEST_STRING_MAX, TEXT_LINE);
		if (r < 0)
			return r;
		draft->request->alertid = strdup(json_string_value(value));
	}
	return draft->request->alertid ? 0 : request_refuse(draft->refusal, field, "out of memory");
}

int request_value_set_format(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	static const char *const names[] = {[REQUEST_FORMAT_PCAPNG] = "pcapng", [REQUEST_FORMAT_PCAP] = "pcap"};
	char quote[REQUEST_QUOTE_SIZE];

	for (size_t i = 0; i < COUNT(names); i++) {
		if (json_string_length(value) == strlen(names[i]) && strcmp(json_string_value(value), names[i]) == 0) {
			draft->request->format = (enum request_format)i;
			return 0;
		}
	}
	return request_refuse(draft->refusal, field->name, "must be \"pcapng\" or \"pcap\", not \"%s\"",
			      request_text_quote(json_string_value(value), json_string_length(value), quote));
}

/* A live capture holds no more than it can pass on, so only how far it reaches back has a limit. */
static uint64_t limit_of(const struct request_draft *draft, const struct request_field *field)
{
	if (draft->request->live && field->offset != offsetof(struct request, before_ns))
		return REQUEST_ENDLESS_NS;
	return *(const uint64_t *)((const char *)draft->config + field->limit_offset);
}

int request_value_set_count(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	uint64_t *target = (uint64_t *)((char *)draft->request + field->offset);
	uint64_t max = limit_of(draft, field);
	json_int_t number = json_integer_value(value);

	if (number < 0)
		return request_refuse(draft->refusal, field->name,
				      "is %" JSON_INTEGER_FORMAT "; it must not be negative", number);
	if ((uint64_t)number > max)
		return request_refuse(draft->refusal, field->name,
				      "is %" JSON_INTEGER_FORMAT "; the limit is %" PRIu64 " (%s)", number, max,
				      field->limit_name);
	if (number)
		*target = (uint64_t)number;
	return 0;
}

int request_value_set_seconds(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	uint64_t *target = (uint64_t *)((char *)draft->request + field->offset);
	uint64_t max_ns = limit_of(draft, field);
	double seconds = json_number_value(value);
	double max = (double)max_ns / NS_PER_S;
	uint64_t ns;

	if (seconds < 0)
		return request_refuse(draft->refusal, field->name, "is %.12g s; it must not be negative", seconds);
	if (seconds > max)
		return request_refuse(draft->refusal, field->name, "is %.12g s; the limit is %.12g s (%s)", seconds,
				      max, field->limit_name);
	ns = (uint64_t)(seconds * NS_PER_S + 0.5);
	if (seconds > 0 && !ns)
		return request_refuse(draft->refusal, field->name, "is %.12g s, less than a nanosecond", seconds);
	if (ns)
		*target = ns < max_ns ? ns : max_ns;
	return 0;
}

int request_value_set_files(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	const json_int_t number = json_integer_value(value);

	if (number < 0 || number > REQUEST_FILES_MAX)
		return request_refuse(draft->refusal, field->name, "is %" JSON_INTEGER_FORMAT "; it must be 1 to %d",
				      number, REQUEST_FILES_MAX);
	draft->request->files = (uint64_t)number;
	return 0;
}

/* A number is a time, a text is a size. */
int request_value_set_every(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	struct request *request = draft->request;
	const uint64_t most = draft->config->general.maxbytes;
	const double seconds = json_number_value(value);
	const uint64_t endless_ns = REQUEST_ENDLESS_NS;
	char quote[REQUEST_QUOTE_SIZE];
	uint64_t bytes;

	if (!json_is_string(value)) {
		if (seconds != 0 &&
		    (seconds * NS_PER_S < REQUEST_EVERY_NS_MIN || seconds * NS_PER_S > (double)endless_ns))
			return request_refuse(draft->refusal, field->name, "is %.12g s; it must be at least %g s",
					      seconds, (double)REQUEST_EVERY_NS_MIN / NS_PER_S);
		request->every_ns = (uint64_t)(seconds * NS_PER_S + 0.5);
		return 0;
	}
	if (request_value_check_text(draft, field->name, value, REQUEST_SIZE_TEXT_MAX, TEXT_LINE) < 0)
		return -EINVAL;
	if (!json_string_length(value))
		return 0;
	if (quantity_parse_bytes(json_string_value(value), &bytes) < 0)
		return request_refuse(draft->refusal, field->name,
				      "\"%s\" is not a size like \"100MB\"; a time is a number",
				      request_text_quote(json_string_value(value), json_string_length(value), quote));
	if (bytes < REQUEST_EVERY_BYTES_MIN || bytes > most)
		return request_refuse(draft->refusal, field->name,
				      "is %" PRIu64 " bytes; it must be %d to %" PRIu64 " (general.maxbytes)", bytes,
				      REQUEST_EVERY_BYTES_MIN, most);
	request->every_bytes = bytes;
	return 0;
}

int request_value_set_snap(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	json_int_t number = json_integer_value(value);

	if (number < 0 || number > REQUEST_SNAP_MAX)
		return request_refuse(draft->refusal, field->name, "is %" JSON_INTEGER_FORMAT "; it must be 1 to %d",
				      number, REQUEST_SNAP_MAX);
	if (number)
		draft->request->snap = (uint32_t)number;
	return 0;
}

/* A request can switch on what the configuration leaves off, but not switch off what it has on. */
int request_value_set_flag(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	bool *target = (bool *)((char *)draft->request + field->offset);

	*target = *target || json_is_true(value);
	return 0;
}

/* RFC 3339, or seconds since 1970: integers are exact, fractions as precise as a double (about 200 ns). */
int request_value_set_time(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	uint64_t *target = (uint64_t *)((char *)draft->request + field->offset);
	const double seconds = json_number_value(value);
	char quote[REQUEST_QUOTE_SIZE];

	if (json_is_string(value)) {
		if (request_value_check_text(draft, field->name, value, REQUEST_TIME_MAX, TEXT_LINE) < 0)
			return -EINVAL;
		if (!json_string_length(value))
			return 0;
		if (clock_parse(json_string_value(value), target) < 0)
			return request_refuse(draft->refusal, field->name,
					      "\"%s\" is not a time like 2026-11-23T08:41:00.5Z",
					      request_text_quote(json_string_value(value), json_string_length(value),
								 quote));
		return 0;
	}
	if (!(seconds >= 0 && seconds < (double)(INT64_MAX / NS_PER_S)))
		return request_refuse(draft->refusal, field->name, "is %.12g, not a time in Unix seconds", seconds);
	*target = json_is_integer(value) ? (uint64_t)json_integer_value(value) * NS_PER_S
					 : (uint64_t)(seconds * NS_PER_S + 0.5);
	*target += !*target; /* elsewhere 0 means "not given"; here it means 1970 */
	return 0;
}
