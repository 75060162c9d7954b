/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One copy of the target, cut into NUL-terminated pieces and decoded in place: decoding never makes text longer.
 * Dots in a path have no meaning here; "." and ".." are segments that match no route.
 */
#include "http/http_target.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* RFC 3986: unreserved, sub-delims, ":" "@"; in a query "/" and "?" as well. */
static bool is_allowed(char c, bool in_query)
{
	return c && (isalnum((unsigned char)c) || strchr("-._~!$&'()*+,;=:@", c) || (in_query && strchr("/?", c))) &&
	       (unsigned char)c < 0x80;
}

/* Decodes one piece in place. */
static int decode(char *text, bool in_query)
{
	char *to = text;

	for (const char *from = text; *from; from++, to++) {
		if (*from == '%') {
			int high = hex_digit(from[1]), low = high < 0 ? -1 : hex_digit(from[2]);

			if (low < 0 || (high == 0 && low == 0))
				return -EINVAL;
			*to = (char)(high * 16 + low);
			if (*to == '/' && !in_query)
				return -EINVAL;
			from += 2;
		} else if (!is_allowed(*from, in_query)) {
			return -EINVAL;
		} else {
			*to = in_query && *from == '+' ? ' ' : *from; /* form encoding */
		}
	}
	*to = '\0';
	return 0;
}

/*
 * Cuts scheme and authority off an absolute form and returns its path, NULL if it is malformed. Whom the client means
 * by the authority makes no difference here: there is one host. No user information (RFC 9110, 4.2.4).
 */
static char *strip_authority(char *text)
{
	static const char *const schemes[] = {"http://", "https://"};
	static const char host_characters[] = "-._~!$&'()*+,;=%:[]";

	if (*text == '/')
		return text;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		const size_t size = strlen(schemes[i]);
		char *host = text + size, *end = host;

		if (strncasecmp(text, schemes[i], size) != 0)
			continue;
		while (*end && (isalnum((unsigned char)*end) || strchr(host_characters, *end)))
			end++;
		if (end == host || *host == ':' || (*end && *end != '/'))
			return NULL;
		return end;
	}
	return NULL;
}

/* An absolute form's path may be empty: it is "/" then. */
static int parse_path(struct http_target *target, char *path)
{
	path += *path == '/';
	for (char *next = path; next; path = next) {
		int r;

		next = strchr(path, '/');
		if (next)
			*next++ = '\0';
		r = decode(path, false);
		if (r < 0)
			return r;
		if (target->segment_count < HTTP_SEGMENTS_MAX)
			target->segments[target->segment_count++] = path;
		else
			target->segment_count = HTTP_SEGMENTS_MAX + 1;
	}
	return 0;
}

static int parse_query(struct http_target *target, char *query)
{
	for (char *next = query; next; query = next) {
		struct http_parameter *parameter;
		char *value;

		next = strchr(query, '&');
		if (next)
			*next++ = '\0';
		if (!*query)
			continue;
		if (target->parameter_count == HTTP_PARAMETERS_MAX)
			return -E2BIG;
		parameter = &target->parameters[target->parameter_count++];
		value = strchr(query, '=');
		if (value)
			*value++ = '\0';
		if (decode(query, true) < 0 || (value && decode(value, true) < 0))
			return -EINVAL;
		parameter->name = query;
		parameter->value = value ? value : "";
	}
	return 0;
}

int http_target_parse(struct http_target *target, const char *raw)
{
	cleanup(cleanup_free) char *text = NULL;
	struct http_target parsed = {0};
	char *query, *path;
	int r;

	if (strnlen(raw, HTTP_TARGET_BYTES_MAX + 1) > HTTP_TARGET_BYTES_MAX)
		return -E2BIG;
	text = strdup(raw);
	if (!text)
		return -ENOMEM;
	query = strchr(text, '?');
	if (query)
		*query++ = '\0';
	path = strip_authority(text);
	r = path ? parse_path(&parsed, path) : -EINVAL;
	if (r == 0 && query)
		r = parse_query(&parsed, query);
	if (r < 0)
		return r;
	parsed.text = take(text);
	*target = parsed;
	return 0;
}

void http_target_deinit(struct http_target *target)
{
	free(target->text);
	*target = (struct http_target){0};
}

int http_target_parameter(const struct http_target *target, const char *name, const char **value)
{
	const struct http_parameter *found = NULL;

	for (size_t i = 0; i < target->parameter_count; i++) {
		if (strcmp(target->parameters[i].name, name) != 0)
			continue;
		if (found)
			return -EEXIST;
		found = &target->parameters[i];
	}
	if (!found)
		return -ENOENT;
	*value = found->value;
	return 0;
}

const char *http_target_unknown_parameter(const struct http_target *target, const char *const *known)
{
	for (size_t i = 0; i < target->parameter_count; i++) {
		const char *const *name = known;

		while (*name && strcmp(*name, target->parameters[i].name) != 0)
			name++;
		if (!*name)
			return target->parameters[i].name;
	}
	return NULL;
}

/* Walks path and pattern together, and sets `wildcard` to what the `wildcard_index`th "*" stands for. */
static bool match_pattern(const struct http_target *target, const char *pattern, size_t wildcard_index,
			  const char **wildcard)
{
	size_t index = 0, wildcards = 0;

	if (target->segment_count > HTTP_SEGMENTS_MAX)
		return false;
	for (const char *part = pattern; *part == '/'; index++) {
		size_t size = strcspn(++part, "/");

		if (index == target->segment_count)
			return false;
		if (size == 1 && *part == '*') {
			if (!target->segments[index][0])
				return false;
			if (wildcards++ == wildcard_index)
				*wildcard = target->segments[index];
		} else if (strlen(target->segments[index]) != size ||
			   memcmp(target->segments[index], part, size) != 0) {
			return false;
		}
		part += size;
	}
	return index == target->segment_count;
}

bool http_target_matches(const struct http_target *target, const char *pattern)
{
	const char *unused;

	return match_pattern(target, pattern, SIZE_MAX, &unused);
}

const char *http_target_wildcard(const struct http_target *target, const char *pattern, size_t index)
{
	const char *wildcard = NULL;

	return match_pattern(target, pattern, index, &wildcard) ? wildcard : NULL;
}
