/* SPDX-License-Identifier: BSD-2-Clause */
/* Servers and libraries repeat URLs, where the token is percent-encoded; CloudShark's tokens are hexadecimal, and it
 * does not care about their case. */
#include "sink/token_spellings.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sink/report_text.h"

static char *percent_encode(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *encoded = calloc(3, strlen(text) + 1), *end = encoded;

	for (; encoded && *text; text++) {
		unsigned char byte = (unsigned char)*text;

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

static char *in_case(const char *text, int (*convert)(int))
{
	char *converted = strdup(text);

	for (char *at = converted; at && *at; at++)
		if (isascii((unsigned char)*at))
			*at = (char)convert(*at);
	return converted;
}

int token_spellings_init(struct token_spellings *token, const char *text, size_t size)
{
	char *plain = strndup(text, size);
	bool complete = plain;

	*token = (struct token_spellings){.spelled = {[TOKEN_PLAIN] = plain}};
	if (!plain)
		return -ENOMEM;
	token->spelled[TOKEN_ENCODED] = percent_encode(plain);
	token->spelled[TOKEN_LOWER] = in_case(plain, tolower);
	token->spelled[TOKEN_UPPER] = in_case(plain, toupper);
	for (size_t i = 0; i < TOKEN_SPELLINGS; i++)
		complete = complete && token->spelled[i];
	return complete ? 0 : -ENOMEM;
}

void token_spellings_deinit(struct token_spellings *token)
{
	for (size_t i = 0; i < TOKEN_SPELLINGS; i++) {
		if (token->spelled[i])
			explicit_bzero(token->spelled[i], strlen(token->spelled[i]));
		free(take(token->spelled[i]));
	}
}

void token_spellings_scrub(const struct token_spellings *token, char *into, size_t room, const char *text)
{
	char *scrubbed = strdup(text);

	for (size_t i = 0; i < TOKEN_SPELLINGS && scrubbed; i++) {
		char *before = scrubbed;

		scrubbed = report_text_scrub(before, token->spelled[i]);
		free(before);
	}
	report_text_copy(into, room, scrubbed ? scrubbed : "out of memory");
	free(scrubbed);
}
