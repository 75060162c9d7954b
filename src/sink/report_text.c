/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two things must happen to foreign text before it is shown: cut it and make it valid UTF-8 (an event is JSON, and half
 * a character would invalidate all of it), and remove the secret. Scrub first, cut afterwards: a secret that is cut in
 * the middle cannot be found.
 */
#include "sink/report_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

#define MASK "***"
#define TAIL_MIN 4 /* at least this much of a secret's beginning is hidden at the end of a text */

void report_text_copy(char *into, size_t room, const char *text)
{
	size_t left = strlen(text), used = 0;

	while (left > 0) {
		uint32_t code;
		size_t length = utf8_decode(text, left, &code);
		size_t wanted = length ? length : 1;

		if (used + wanted >= room)
			break;
		if (length)
			memcpy(into + used, text, length);
		else
			into[used] = '?';
		used += wanted;
		text += wanted;
		left -= wanted;
	}
	into[used] = '\0';
}

/* How many bytes at the end of `text` are the beginning of `secret`. */
static size_t secret_at_end(const char *text, const char *secret)
{
	size_t text_length = strlen(text), secret_length = strlen(secret);
	size_t longest = secret_length < text_length ? secret_length : text_length;

	for (size_t length = longest; length >= TAIL_MIN; length--)
		if (memcmp(text + text_length - length, secret, length) == 0)
			return length;
	return 0;
}

char *report_text_scrub(const char *text, const char *secret)
{
	size_t secret_length = strlen(secret), hits = 0, room;
	char *scrubbed, *end;

	if (secret_length == 0)
		return strdup(text);
	for (const char *hit = text; (hit = strstr(hit, secret)); hit += secret_length)
		hits++;
	if (__builtin_mul_overflow(hits + 1, sizeof(MASK), &room) || __builtin_add_overflow(room, strlen(text), &room))
		return NULL;
	scrubbed = malloc(room);
	if (!scrubbed)
		return NULL;

	end = scrubbed;
	for (const char *hit; (hit = strstr(text, secret)); text = hit + secret_length) {
		end = mempcpy(end, text, (size_t)(hit - text));
		end = mempcpy(end, MASK, strlen(MASK));
	}
	end = mempcpy(end, text, strlen(text) - secret_at_end(text, secret));
	if (secret_at_end(text, secret) > 0)
		end = mempcpy(end, MASK, strlen(MASK));
	*end = '\0';
	return scrubbed;
}

void report_text_line(char *text)
{
	char *out = text;
	bool gap = false;

	for (const char *at = text; *at && out - text < REPORT_LINE_MAX - 1; at++) {
		const char *markup_end = *at == '<' ? strchr(at, '>') : NULL;

		if (markup_end)
			at = markup_end;
		if (markup_end || (unsigned char)*at <= ' ' || *at == 0x7f) {
			gap = out > text;
			continue;
		}
		if (gap)
			*out++ = ' ';
		gap = false;
		*out++ = *at;
	}
	*out = '\0';
}
