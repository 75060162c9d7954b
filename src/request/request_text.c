/* SPDX-License-Identifier: BSD-2-Clause */
/* Untrusted text. Every function is bounded and allocates nothing. */
#include "request/request_text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "base/utf8.h"

static_assert(sizeof((struct request_refusal){0}.field) == REQUEST_QUOTE_SIZE, "a quoted name fits the refusal");

static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

bool request_text_has_control(const char *text, size_t size, enum request_text_kind kind)
{
	static const char *const allowed[] = {[TEXT_LINE] = "", [TEXT_NOTE] = "\n\t", [TEXT_FILTER] = "\n\t\r\v\f"};

	for (size_t i = 0, length; i < size; i += length) {
		uint32_t code = 0;

		length = utf8_decode(text + i, size - i, &code);
		if (!length || !code)
			return true;
		if (is_control(code) && !(code < 0x20 && strchr(allowed[kind], (int)code)))
			return true;
	}
	return false;
}

const char *request_text_quote(const char *text, size_t size, char quote[static REQUEST_QUOTE_SIZE])
{
	static const char more[] = "...";
	size_t used = 0, fits = 0; /* fits: the last offset with room for "..." */

	for (size_t i = 0; i < size;) {
		uint32_t code;
		size_t length = utf8_decode(text + i, size - i, &code);
		bool hidden = !length || is_control(code);
		size_t width = hidden ? 1 : length;

		if (used + width >= REQUEST_QUOTE_SIZE) {
			memcpy(quote + fits, more, sizeof(more));
			return quote;
		}
		memcpy(quote + used, hidden ? "?" : text + i, width);
		used += width;
		if (used + sizeof(more) <= REQUEST_QUOTE_SIZE)
			fits = used;
		i += length ? length : 1;
	}
	quote[used] = '\0';
	return quote;
}

const char *request_text_suggestion(const char *word, const char *const *known, size_t count,
				    char hint[static REQUEST_HINT_SIZE])
{
	const char *nearest = suggest(word, known, count);
	char quote[REQUEST_QUOTE_SIZE];

	hint[0] = '\0';
	if (nearest)
		snprintf(hint, REQUEST_HINT_SIZE, ", did you mean \"%s\"?",
			 request_text_quote(nearest, strlen(nearest), quote));
	return hint;
}

int request_refuse(struct request_refusal *refusal, const char *field, const char *fmt, ...)
{
	char text[sizeof(refusal->error.text) - sizeof(refusal->field) - 2];
	char name[REQUEST_QUOTE_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(refusal->field, sizeof(refusal->field), "%s", request_text_quote(field, strlen(field), name));
	return error_set(&refusal->error, -EINVAL, "%s%s%s", refusal->field, *refusal->field ? ": " : "", text);
}
