/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values obey the rules of the configuration's keys. A capture goes where its request says, with this node's access
 * key: so nothing may be replaced unless the configuration lists it.
 */
#include "request/request_s3.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "request/request_value.h"

static bool is_allowed(const struct config_strings *allowed, const char *name)
{
	for (size_t i = 0; i < allowed->count; i++)
		if (strcmp(allowed->items[i], name) == 0)
			return true;
	return false;
}

/* NULL: no such encryption. */
static const char *encryption_of(const json_t *value)
{
	static const char *const kinds[] = {"none", "AES256", "aws:kms", "aws:kms:dsse"};

	if (json_is_true(value))
		return "AES256";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(json_string_value(value), kinds[i]) == 0)
			return kinds[i];
	return NULL;
}

int request_s3_set(struct request_draft *draft, const struct request_field *field, const json_t *value)
{
	char **target = (char **)((char *)draft->request + field->offset), quote[REQUEST_QUOTE_SIZE];
	const char *text, *objection;
	int r;

	if (json_is_false(value) || (json_is_string(value) && !json_string_length(value)))
		return 0; /* not given */
	if (!is_allowed(&draft->config->s3.allow_override, field->name))
		return request_refuse(draft->refusal, field->name, "not allowed: not listed in [s3] allow_override");
	r = json_is_string(value) ? request_value_check_text(draft, field->name, value, REQUEST_STRING_MAX, TEXT_LINE)
				  : 0;
	if (r < 0)
		return r;
	text = field->rule ? json_string_value(value) : encryption_of(value);
	objection = !text	  ? "is no encryption (there are true, AES256, aws:kms, aws:kms:dsse and none)"
		    : field->rule ? field->rule(text)
				  : NULL;
	if (objection)
		return request_refuse(draft->refusal, field->name, "\"%s\" %s",
				      request_text_quote(json_string_value(value), json_string_length(value), quote),
				      objection);
	*target = strdup(text);
	return *target ? 0 : request_refuse(draft->refusal, field->name, "out of memory");
}

size_t request_s3_bytes(const struct request_s3 *s3)
{
	const char *const texts[] = {s3->bucket, s3->folder, s3->region, s3->endpoint, s3->acl, s3->encryption};
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		bytes += texts[i] ? strlen(texts[i]) + 1 : 0;
	return bytes;
}

void request_s3_deinit(struct request_s3 *s3)
{
	free(s3->bucket);
	free(s3->folder);
	free(s3->region);
	free(s3->endpoint);
	free(s3->acl);
	free(s3->encryption);
	*s3 = (struct request_s3){0};
}
