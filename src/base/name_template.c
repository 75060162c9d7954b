/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts are short and used once a file, so they are read anew each time. A URL's query begins at its first "?". */
#include "base/name_template.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

#define UNKNOWN_PLACEHOLDER "has an unknown placeholder (there are " NAME_TEMPLATE_PLACEHOLDERS ")"
#define BRACE "has a brace that belongs to no placeholder; write {{ or }} for a brace itself"

/* Texts of the values; {date} and {time} are made of time_ns. */
static const struct {
	const char *name;
	size_t offset; /* in struct name_values */
} placeholders[] = {
	{"node", offsetof(struct name_values, node)},	      {"interface", offsetof(struct name_values, interface)},
	{"customer", offsetof(struct name_values, customer)}, {"id", offsetof(struct name_values, id)},
	{"capture", offsetof(struct name_values, capture)},   {"name", offsetof(struct name_values, name)},
	{"tags", offsetof(struct name_values, tags)},	      {"comment", offsetof(struct name_values, comment)},
	{"date", offsetof(struct name_values, time_ns)},      {"time", offsetof(struct name_values, time_ns)},
};

#define PLACEHOLDERS (sizeof(placeholders) / sizeof(*placeholders))

/* The index of "{name}" at the start of `text`, or PLACEHOLDERS. */
static size_t find_placeholder(const char *text)
{
	size_t i = 0;

	for (; i < PLACEHOLDERS; i++) {
		const size_t length = strlen(placeholders[i].name);

		if (!strncmp(text + 1, placeholders[i].name, length) && text[1 + length] == '}')
			break;
	}
	return i;
}

/* Whether it begins with "{{" or "}}". */
static bool is_escape(const char *text)
{
	return (text[0] == '{' && text[1] == '{') || (text[0] == '}' && text[1] == '}');
}

const char *name_template_objection(const char *text)
{
	while (*(text += strcspn(text, "{}"))) {
		if (is_escape(text))
			text += 2;
		else if (*text == '}' || !strchr(text, '}'))
			return BRACE;
		else if (find_placeholder(text) == PLACEHOLDERS)
			return UNKNOWN_PLACEHOLDER;
		else
			text = strchr(text, '}') + 1;
	}
	return NULL;
}

bool name_template_has(const char *text, const char *placeholder)
{
	while (*(text += strcspn(text, "{}"))) {
		const size_t found = is_escape(text) || *text == '}' ? PLACEHOLDERS : find_placeholder(text);

		if (found < PLACEHOLDERS && !strcmp(placeholders[found].name, placeholder))
			return true;
		text += is_escape(text) ? 2 : 1;
	}
	return false;
}

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("._-", c));
}

/* A byte of a value as it is written in this place: at most three characters. */
static void write_byte(char c, enum name_template_place place, bool in_query, char out[static 4])
{
	const bool is_control = (unsigned char)c < 0x20 || c == 0x7f;

	out[1] = '\0';
	if (place == NAME_TEMPLATE_TEXT) {
		out[0] = is_control ? ' ' : c;
	} else if (is_unreserved(c) || (place == NAME_TEMPLATE_URL && c == '~')) {
		out[0] = c;
	} else if (place == NAME_TEMPLATE_PATH || (!in_query && (is_control || c == '/' || c == '\\'))) {
		out[0] = '_';
	} else {
		snprintf(out, 4, "%%%02X", (unsigned)(unsigned char)c);
	}
}

static int append_value(const char *value, enum name_template_place place, bool in_query, struct buffer *out)
{
	const bool in_path = place == NAME_TEMPLATE_PATH || (place == NAME_TEMPLATE_URL && !in_query);
	const size_t size =
		utf8_cut(value, strlen(value), place == NAME_TEMPLATE_TEXT ? NAME_TEXT_MAX : NAME_VALUE_MAX);
	char piece[4];
	int r = 0;

	if (in_path && size == 0)
		return buffer_append_string(out, "_");
	for (size_t i = 0; i < size && r == 0; i++) {
		write_byte(value[i], place, in_query, piece);
		r = buffer_append_string(out, in_path && i == 0 && value[0] == '.' ? "_" : piece);
	}
	return r;
}

/* "2026-11-23" or "084100". */
static const char *clock_part(const char *name, uint64_t time_ns, char text[static CLOCK_TEXT_SIZE])
{
	char whole[CLOCK_TEXT_SIZE];

	clock_format(time_ns, whole);
	if (!strcmp(name, "date"))
		snprintf(text, CLOCK_TEXT_SIZE, "%.10s", whole);
	else
		snprintf(text, CLOCK_TEXT_SIZE, "%.2s%.2s%.2s", whole + 11, whole + 14, whole + 17);
	return text;
}

static int append_placeholder(size_t index, enum name_template_place place, bool in_query,
			      const struct name_values *values, struct buffer *out)
{
	const char *name = placeholders[index].name, *field = (const char *)values + placeholders[index].offset, *value;
	char text[CLOCK_TEXT_SIZE];

	if (placeholders[index].offset == offsetof(struct name_values, time_ns))
		value = clock_part(name, values->time_ns, text);
	else
		value = *(const char *const *)(const void *)field;
	return append_value(value ? value : "", place, in_query, out);
}

int name_template_expand(const char *text, enum name_template_place place, const struct name_values *values,
			 struct buffer *out)
{
	bool in_query = false;
	int r = 0;

	while (*text && r == 0) {
		const size_t plain = strcspn(text, "{}");
		const size_t found =
			text[plain] == '{' && !is_escape(text + plain) ? find_placeholder(text + plain) : PLACEHOLDERS;

		in_query |= memchr(text, '?', plain) != NULL;
		r = buffer_append(out, text, plain);
		text += plain;
		if (r == 0 && found < PLACEHOLDERS) {
			r = append_placeholder(found, place, in_query, values, out);
			text = strchr(text, '}') + 1;
		} else if (r == 0 && *text) {
			r = buffer_append(out, text, 1);
			text += is_escape(text) ? 2 : 1;
		}
	}
	return r;
}
