/* SPDX-License-Identifier: BSD-2-Clause */
/* Ids, secrets and tokens are put into headers, so they may have printable ASCII characters only. */
#include "sink/s3/aws_key.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sink/s3/xml_text.h"

#define BLANKS " \t\r"

CLEANUP_DEFINE(json, json_t, json_decref)

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void aws_key_deinit(struct aws_key *key)
{
	wipe(key->id);
	wipe(key->secret);
	wipe(key->token);
	*key = (struct aws_key){0};
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

int aws_key_init(struct aws_key *key, const char *id, const char *secret, const char *token, struct error *err)
{
	const bool has_token = token && *token;

	*key = (struct aws_key){0};
	if (!*id || !*secret)
		return error_set(err, -EINVAL, "the access key id or the secret access key is empty");
	if (!is_plain(id) || !is_plain(secret) || (has_token && !is_plain(token)) || strpbrk(id, "/,"))
		return error_set(err, -EINVAL, "the access key has a space or another character that keys cannot have");
	if (strlen(id) > AWS_KEY_TEXT_MAX || strlen(secret) > AWS_KEY_TEXT_MAX ||
	    (has_token && strlen(token) > AWS_KEY_TEXT_MAX))
		return error_set(err, -EINVAL, "the access key is longer than %d bytes", AWS_KEY_TEXT_MAX);
	*key = (struct aws_key){.id = strdup(id), .secret = strdup(secret), .token = has_token ? strdup(token) : NULL};
	if (key->id && key->secret && (!has_token || key->token))
		return 0;
	aws_key_deinit(key);
	return -ENOMEM;
}

/* --- a shared credentials file --- */

static char *trim(char *text)
{
	size_t size;

	text += strspn(text, BLANKS);
	size = strlen(text);
	while (size > 0 && strchr(BLANKS, text[size - 1]))
		text[--size] = '\0';
	return text;
}

/* The name in "[name]" or "[profile name]"; NULL: the line is no header. */
static char *header_name(char *line)
{
	char *end = *line == '[' ? strchr(line, ']') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	line = trim(line + 1);
	return strncmp(line, "profile ", 8) == 0 ? trim(line + 8) : line;
}

int aws_key_from_profile(struct aws_key *key, char *text, const char *profile, struct error *err)
{
	const char *id = "", *secret = "", *token = "";
	bool inside = false, found = false;
	char *next = text;

	for (char *line; (line = strsep(&next, "\n"));) {
		line = trim(line);
		const char *header = header_name(line);
		char *value = strchr(line, '=');

		if (header) {
			inside = strcmp(header, profile) == 0;
			found |= inside;
		}
		if (header || !inside || !value || *line == '#' || *line == ';')
			continue;
		*value++ = '\0';
		line = trim(line);
		value = trim(value);
		if (strcmp(line, "aws_access_key_id") == 0)
			id = value;
		else if (strcmp(line, "aws_secret_access_key") == 0)
			secret = value;
		else if (strcmp(line, "aws_session_token") == 0)
			token = value;
	}
	if (!found)
		return error_set(err, -ENOENT, "has no profile \"%.64s\"", profile);
	if (!*id || !*secret)
		return error_set(err, -EINVAL,
				 "profile \"%.64s\" lacks aws_access_key_id or aws_secret_access_key (roles and "
				 "programs of a profile are not supported)",
				 profile);
	return aws_key_init(key, id, secret, token, err);
}

/* --- answers of services --- */

/* Reads when the key expires. A key without that time is taken to be bad: it could not be refreshed. */
static int set_expiration(struct aws_key *key, const char *text, struct error *err)
{
	if (*text && clock_parse(text, &key->expires_ns) == 0 && key->expires_ns)
		return 0;
	aws_key_deinit(key);
	return error_set(err, -EINVAL, "the answer does not say when the key expires");
}

static const char *member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

int aws_key_from_json(struct aws_key *key, const char *text, size_t size, struct error *err)
{
	cleanup(cleanup_json) json_t *answer = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	const char *code = member(answer, "Code"), *message = member(answer, "Message");
	int r;

	if (!json_is_object(answer))
		return error_set(err, -EINVAL, "the answer is no JSON object");
	if ((*code && strcmp(code, "Success") != 0) || !*member(answer, "AccessKeyId"))
		return error_set(err, -EINVAL, "%.64s%s%.256s", *code ? code : "the answer holds no access key",
				 *message ? ": " : "", message);
	r = aws_key_init(key, member(answer, "AccessKeyId"), member(answer, "SecretAccessKey"), member(answer, "Token"),
			 err);
	return r < 0 ? r : set_expiration(key, member(answer, "Expiration"), err);
}

int aws_key_from_xml(struct aws_key *key, const char *text, struct error *err)
{
	cleanup(cleanup_free) char *room = calloc(3, AWS_KEY_TEXT_MAX + 1);
	char expiration[64];
	int r;

	if (!room)
		return -ENOMEM;
	char *id = room, *secret = id + AWS_KEY_TEXT_MAX + 1, *token = secret + AWS_KEY_TEXT_MAX + 1;
	if (!xml_text(text, "AccessKeyId", id, AWS_KEY_TEXT_MAX + 1) ||
	    !xml_text(text, "SecretAccessKey", secret, AWS_KEY_TEXT_MAX + 1) ||
	    !xml_text(text, "SessionToken", token, AWS_KEY_TEXT_MAX + 1))
		r = error_set(err, -EINVAL, "the answer holds no access key");
	else
		r = aws_key_init(key, id, secret, token, err);
	explicit_bzero(room, 3 * (AWS_KEY_TEXT_MAX + 1));
	if (r < 0)
		return r;
	(void)xml_text(text, "Expiration", expiration, sizeof(expiration));
	return set_expiration(key, expiration, err);
}
