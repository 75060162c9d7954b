/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A secret comes back in several spellings: as it was configured, percent-encoded or decoded, and with JSON's escaped
 * slashes. All of them are kept. The longest is looked for first, because one secret may be the beginning of another.
 */
#include "sink/scrub.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sink/report_text.h"

/* Bytes; hiding "1" would make every text unreadable. */
#define URL_PART_MIN 4
#define HEADER_MIN 8

static void free_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void scrub_deinit(struct scrub *scrub)
{
	for (size_t i = 0; i < SCRUB_TEXTS_MAX; i++)
		free_text(take(scrub->texts[i]));
}

/* Takes ownership of the text, which may be NULL. */
static int add_spelling(struct scrub *scrub, char *text)
{
	char **slot;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < SCRUB_TEXTS_MAX; i++) {
		if (!*text || (scrub->texts[i] && !strcmp(scrub->texts[i], text))) {
			free_text(text);
			return 0;
		}
	}
	slot = &scrub->texts[scrub->used++ % SCRUB_TEXTS_MAX];
	free_text(*slot);
	*slot = text;
	return 0;
}

static char *percent_encoded(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *encoded = calloc(3, strlen(text) + 1), *end = encoded;

	for (; encoded && *text; text++) {
		const unsigned char byte = (unsigned char)*text;

		if (isascii(byte) && (isalnum(byte) || strchr("-._~", byte))) {
			*end++ = (char)byte;
			continue;
		}
		*end++ = '%';
		*end++ = digits[byte >> 4];
		*end++ = digits[byte & 15];
	}
	return encoded;
}

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 0x20) - 'a' + 10;
}

static char *percent_decoded(const char *text)
{
	char *decoded = calloc(1, strlen(text) + 1), *end = decoded;

	for (; decoded && *text; text++) {
		if (*text == '%' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
			*end++ = (char)(hex_digit(text[1]) << 4 | hex_digit(text[2]));
			text += 2;
		} else {
			*end++ = *text;
		}
	}
	return decoded;
}

static char *with_escaped_slashes(const char *text)
{
	char *escaped = calloc(2, strlen(text) + 1), *end = escaped;

	for (; escaped && *text; text++) {
		if (*text == '/')
			*end++ = '\\';
		*end++ = *text;
	}
	return escaped;
}

int scrub_add(struct scrub *scrub, const char *secret)
{
	int r = add_spelling(scrub, strdup(secret));

	if (r == 0)
		r = add_spelling(scrub, percent_encoded(secret));
	return r == 0 ? add_spelling(scrub, with_escaped_slashes(secret)) : r;
}

/* One part of a URL, as it is and decoded. */
static int add_part(struct scrub *scrub, const char *part, size_t size)
{
	cleanup(cleanup_free) char *copy = NULL, *decoded = NULL;
	int r = -ENOMEM;

	if (size < URL_PART_MIN)
		return 0;
	copy = strndup(part, size);
	if (copy)
		decoded = percent_decoded(copy);
	if (decoded)
		r = scrub_add(scrub, copy);
	if (r == 0)
		r = scrub_add(scrub, decoded);
	if (copy)
		explicit_bzero(copy, strlen(copy));
	if (decoded)
		explicit_bzero(decoded, strlen(decoded));
	return r;
}

/* Where the parts of a URL begin: of "scheme://user@host/path?query", host, path and query (with its "?"). */
struct url_parts {
	const char *authority, *host, *path, *query, *end;
};

static struct url_parts split_url(const char *url)
{
	const char *scheme_end = strstr(url, "://");
	struct url_parts parts = {.authority = scheme_end ? scheme_end + 3 : url};

	parts.path = parts.authority + strcspn(parts.authority, "/?#");
	parts.host = parts.authority;
	for (const char *at = parts.authority; at < parts.path; at++)
		if (*at == '@')
			parts.host = at + 1;
	parts.query = parts.path + strcspn(parts.path, "?#");
	parts.end = parts.query + strlen(parts.query);
	return parts;
}

/* The values of "?a=value&b=value{placeholder}value". */
static int add_query(struct scrub *scrub, const char *query)
{
	int r = 0;

	for (const char *at = query; *at && r == 0; at += strcspn(at, "&")) {
		at += *at == '&' || *at == '?';
		at += strcspn(at, "=&");
		while (*at && *at != '&' && r == 0) {
			size_t size;

			at += *at == '{' ? strcspn(at, "}&") : 0;
			at += *at && *at != '&';
			size = strcspn(at, "{&");
			r = add_part(scrub, at, size);
			at += size;
		}
	}
	return r;
}

int scrub_add_url(struct scrub *scrub, const char *url, bool path)
{
	const struct url_parts parts = split_url(url);
	int r = add_query(scrub, parts.query);

	if (r == 0 && parts.host > parts.authority) {
		const char *colon = memchr(parts.authority, ':', (size_t)(parts.host - parts.authority));

		r = add_part(scrub, parts.authority, (size_t)(parts.host - 1 - parts.authority));
		if (r == 0 && colon)
			r = add_part(scrub, colon + 1, (size_t)(parts.host - 1 - (colon + 1)));
	}
	if (r == 0 && path && parts.query > parts.path)
		r = add_part(scrub, parts.path + 1, (size_t)(parts.query - parts.path - 1));
	return r;
}

int scrub_add_header(struct scrub *scrub, const char *header)
{
	const char *value = strchr(header, ':');

	value = value ? value + 1 + strspn(value + 1, " ") : "";
	return strlen(value) < HEADER_MIN || strpbrk(value, "{}") ? 0 : scrub_add(scrub, value);
}

/* Secrets by their length, the longest first. */
static int by_length(const void *a, const void *b)
{
	const size_t one = strlen(*(char *const *)a), other = strlen(*(char *const *)b);

	return one < other ? 1 : one > other ? -1 : 0;
}

void scrub_put(const struct scrub *scrub, char *into, size_t room, const char *text)
{
	const char *sorted[SCRUB_TEXTS_MAX];
	char *scrubbed = strdup(text);
	size_t count = 0;

	for (size_t i = 0; i < SCRUB_TEXTS_MAX; i++)
		if (scrub->texts[i])
			sorted[count++] = scrub->texts[i];
	qsort(sorted, count, sizeof(*sorted), by_length);
	for (size_t i = 0; i < count && scrubbed; i++) {
		char *before = scrubbed;

		scrubbed = report_text_scrub(before, sorted[i]);
		free_text(before);
	}
	report_text_copy(into, room, scrubbed ? scrubbed : "out of memory");
	free(scrubbed);
}

char *scrub_url(const char *url)
{
	const struct url_parts parts = split_url(url);
	const size_t scheme = (size_t)(parts.authority - url), rest = (size_t)(parts.query - parts.host);
	char *clean = malloc(scheme + rest + 1);

	if (!clean)
		return NULL;
	memcpy(clean, url, scheme);
	memcpy(clean + scheme, parts.host, rest);
	clean[scheme + rest] = '\0';
	return clean;
}
