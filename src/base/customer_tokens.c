/* SPDX-License-Identifier: BSD-2-Clause */
/* The text is walked line by line at each look-up: it has 64 KiB at most, and there is one look-up for an upload. */
#include "base/customer_tokens.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct line {
	const char *customer, *token;
	size_t customer_size, token_size;
	unsigned number; /* 1, 2, … */
};

static void split_line(struct line *line, const char *begin, const char *end)
{
	const char *colon;

	if (end > begin && end[-1] == '\r')
		end--;
	colon = memrchr(begin, ':', (size_t)(end - begin));
	line->customer = begin;
	line->customer_size = colon ? (size_t)(colon - begin) : 0;
	line->token = colon ? colon + 1 : end;
	line->token_size = (size_t)(end - line->token);
}

/* Reads the next line that counts, from *at on. False: there is none. */
static bool next_line(const char **at, struct line *line)
{
	while (**at) {
		const char *begin = *at, *end = strchrnul(begin, '\n');

		*at = *end ? end + 1 : end;
		line->number++;
		if (*begin == '#' || *begin == '\n' || (*begin == '\r' && begin + 1 == end))
			continue;
		split_line(line, begin, end);
		return true;
	}
	return false;
}

static int check_token(const struct line *line, customer_token_rule rule, struct error *err)
{
	char *token = strndup(line->token, line->token_size);
	const char *objection;

	if (!token)
		return -ENOMEM;
	objection = rule(token);
	explicit_bzero(token, line->token_size);
	free(token);
	return objection ? error_set(err, -EINVAL, "line %u: the token %s", line->number, objection) : 0;
}

int customer_tokens_check(const char *text, customer_token_rule rule, struct error *err)
{
	const char *at = text;
	struct line line = {0};
	int r = 0;

	while (r == 0 && next_line(&at, &line)) {
		struct line earlier = {0};
		const char *from = text;

		if (!line.customer_size || !line.token_size)
			return error_set(err, -EINVAL, "line %u: must be CUSTOMER:TOKEN", line.number);
		while (next_line(&from, &earlier) && earlier.number < line.number)
			if (earlier.customer_size == line.customer_size &&
			    memcmp(earlier.customer, line.customer, line.customer_size) == 0)
				return error_set(err, -EINVAL, "line %u: the customer is there already, in line %u",
						 line.number, earlier.number);
		r = check_token(&line, rule, err);
	}
	return r == 0 && !line.token ? error_set(err, -EINVAL, "has no CUSTOMER:TOKEN") : r;
}

const char *customer_tokens_find(const char *text, const char *customer, size_t *token_size)
{
	const size_t size = strlen(customer);
	struct line line = {0};

	while (next_line(&text, &line)) {
		if (line.customer_size == size && memcmp(line.customer, customer, size) == 0) {
			*token_size = line.token_size;
			return line.token;
		}
	}
	return NULL;
}
