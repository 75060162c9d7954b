/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libpcap's scanner (scanner.l, 1.10) takes the longest match, so "1.slow.example" and "1.2.3.4.5" are names, and only
 * numbers, up to four of them with dots, and hardware and IPv6 addresses are none. After "port", "portrange", "proto"
 * and "protochain" a name is a service or a protocol, and goes on being one through "and", "or" and "not" until another
 * qualifier comes (gencode.h, `struct qual`).
 */
#include "bpf/filter_names.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "bpf/filter_internal.h"

#define QUAD_NUMBERS 4

static bool all_of(const char *text, size_t length, int (*is)(int))
{
	for (size_t i = 0; i < length; i++)
		if (!is((unsigned char)text[i]))
			return false;
	return length > 0;
}

/* Decimal numbers with dots between them: at most an IPv4 address. */
static bool is_dotted(const char *word, size_t length)
{
	unsigned numbers = 1;

	for (size_t i = 0; i < length; i++) {
		if (word[i] == '.' && (i == 0 || i + 1 == length || word[i - 1] == '.' || ++numbers > QUAD_NUMBERS))
			return false;
		if (word[i] != '.' && !isdigit((unsigned char)word[i]))
			return false;
	}
	return length > 0;
}

/* Six pairs of hexadecimal digits with dashes, or three groups of four with dots. */
static bool is_hardware_address(const char *word, size_t length)
{
	const size_t group = length == 17 ? 2 : 4;
	const char between = length == 17 ? '-' : '.';

	if (length != 17 && length != 14)
		return false;
	for (size_t i = 0; i < length; i++)
		if (i % (group + 1) == group ? word[i] != between : !isxdigit((unsigned char)word[i]))
			return false;
	return true;
}

static bool is_number(const char *word, size_t length)
{
	const bool hexadecimal = length > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X');

	return (hexadecimal && all_of(word + 2, length - 2, isxdigit)) || is_dotted(word, length) ||
	       is_hardware_address(word, length);
}

static bool is_one_of(const char *word, size_t length, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == length && strncasecmp(*list, word, length) == 0)
			return true;
	return false;
}

/* No name can have a colon, or begin with a dash: that is a subtraction. */
static bool is_keyword(const char *word, size_t length)
{
	return !isdigit((unsigned char)*word) && filter_is_known_word(word, length);
}

const char *filter_find_host_name(const char *expression, size_t *length)
{
	static const char *const joints[] = {"and", "or", "not", NULL};
	static const char *const of_files[] = {"port", "portrange", "proto", "protochain", NULL};
	bool in_files = false;

	for (const char *at = expression ? expression : ""; *at;) {
		const char *end = at;

		while (filter_is_word_character(*end))
			end++;
		*length = (size_t)(end - at);
		const bool number = *length && (is_number(at, *length) || memchr(at, ':', *length));

		if (*length && !number && is_keyword(at, *length)) {
			if (!is_one_of(at, *length, joints))
				in_files = is_one_of(at, *length, of_files);
		} else if (*length && !number && !in_files) {
			return at;
		}
		at = *length ? end : at + 1;
	}
	return NULL;
}
