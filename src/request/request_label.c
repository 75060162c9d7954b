/* SPDX-License-Identifier: BSD-2-Clause */
/* The message is refused, so nothing in it is certain: other fields may be wrong, or given twice. */
#include "request/request_label.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "request/request.h"
#include "request/request_peek.h"
#include "request/request_text.h"
#include "request/request_value.h"

static char *text_of(const json_t *message, const char *field)
{
	const json_t *value = json_object_get(message, field);
	const size_t size = json_string_length(value);

	if (!size || size > REQUEST_STRING_MAX || request_text_has_control(json_string_value(value), size, TEXT_LINE))
		return NULL;
	return strdup(json_string_value(value));
}

static char *integer_of(const json_t *value)
{
	char *text = NULL;

	if (!json_integer_value(value) || asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0)
		return NULL;
	return text;
}

void request_label_read(const void *bytes, size_t size, struct request_label *label)
{
	json_t *message = NULL;

	*label = (struct request_label){0};
	if (size <= REQUEST_SIZE_MAX && !request_peek_is_deeper(bytes, size, REQUEST_DEPTH_MAX))
		message = json_loadb(bytes, size, 0, NULL);
	label->tags = text_of(message, "tags");
	label->customer = text_of(message, "customer");
	const char *alert_field = request_value_alert_field(message);
	const json_t *alertid = alert_field ? json_object_get(message, alert_field) : NULL;
	label->alertid_is_integer = json_is_integer(alertid);
	if (alert_field)
		label->alertid = label->alertid_is_integer ? integer_of(alertid) : text_of(message, alert_field);
	if (request_value_is_plain(json_object_get(message, "rule")))
		label->rule = text_of(message, "rule");
	json_decref(message);
}

void request_label_deinit(struct request_label *label)
{
	free(label->tags);
	free(label->customer);
	free(label->alertid);
	free(label->rule);
}
