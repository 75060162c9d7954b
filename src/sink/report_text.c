/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two things that must happen to foreign text before it is shown: make it fit and well-formed (an event is JSON,
 * and half a character would make all of it invalid), and take the secret out. Scrub first, cut after: a secret that is
 * cut in the middle can't be found any more.
 */
#include "sink/report_text.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

#define MASK "***"
#define TAIL_MIN 4 /* bytes of a secret's beginning that are worth hiding at the end of a cut text */

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

/* Bytes at the end of `text` that are the beginning of `secret` but not all of it. */
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
	size_t secret_length = strlen(secret), hits = 0, grown;
	char *scrubbed, *end;

	if (secret_length == 0)
		return strdup(text);
	for (const char *hit = text; (hit = strstr(hit, secret)); hit += secret_length)
		hits++;
	if (__builtin_mul_overflow(hits + 1, sizeof(MASK), &grown) ||
	    __builtin_add_overflow(grown, strlen(text), &grown))
		return NULL;
	scrubbed = malloc(grown);
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
