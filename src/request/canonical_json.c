/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members in the order of their names as UTF-16, no white space, strings with the shortest escapes, numbers as
 * ECMAScript prints them: the shortest digits that read back as the same double.
 */
#include "request/canonical_json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define INTEGER_MAX 9007199254740991 /* 2^53 - 1 */
#define DIGITS_MAX 17		     /* enough for any double */
#define NUMBER_SIZE 64

/* --- strings --- */

static int append_escaped(struct buffer *out, unsigned char c)
{
	static const char letters[] = "btn?fr"; /* from \b to \r; \v has none */

	if (c == '"' || c == '\\')
		return buffer_printf(out, "\\%c", c);
	if (c >= '\b' && c <= '\r' && c != '\v')
		return buffer_printf(out, "\\%c", letters[c - '\b']);
	return buffer_printf(out, "\\u%04x", c);
}

static int append_string(struct buffer *out, const char *text, size_t size)
{
	size_t plain = 0; /* up to here it is written */
	int r = buffer_append(out, "\"", 1);

	for (size_t i = 0; r == 0 && i < size; i++) {
		const unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		r = buffer_append(out, text + plain, i - plain);
		if (r == 0)
			r = append_escaped(out, c);
		plain = i + 1;
	}
	if (r == 0)
		r = buffer_append(out, text + plain, size - plain);
	return r == 0 ? buffer_append(out, "\"", 1) : r;
}

/* --- numbers (ECMA-262, Number::toString) --- */

/* The shortest digits that read back as the same number, and the power of ten of the first one. */
static int shortest_digits(double number, char digits[static DIGITS_MAX + 1], int *exponent)
{
	char text[NUMBER_SIZE], *end = text;
	int count = 0;

	do {
		snprintf(text, sizeof(text), "%.*e", count++, number);
	} while (count < DIGITS_MAX && (strtod(text, &end) != number || *end));
	*exponent = (int)strtol(strchr(text, 'e') + 1, &end, 10);
	digits[0] = text[0];
	for (int i = 1; i < count; i++)
		digits[i] = text[i + 1]; /* after the point */
	while (count > 1 && digits[count - 1] == '0')
		count--;
	digits[count] = '\0';
	return count;
}

static int append_real(struct buffer *out, double number)
{
	char digits[DIGITS_MAX + 1];
	int exponent;

	if (number == 0)
		return buffer_append(out, "0", 1);
	const int count = shortest_digits(fabs(number), digits, &exponent);
	const char *sign = number < 0 ? "-" : "";
	if (exponent >= 21 || exponent < -6)
		return buffer_printf(out, "%s%c%s%se%+d", sign, digits[0], count > 1 ? "." : "", digits + 1, exponent);
	if (exponent < 0)
		return buffer_printf(out, "%s0.%.*s%s", sign, -exponent - 1, "00000", digits);
	if (count <= exponent + 1)
		return buffer_printf(out, "%s%s%.*s", sign, digits, exponent + 1 - count, "000000000000000000000");
	return buffer_printf(out, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

static int append_integer(struct buffer *out, json_int_t number)
{
	if (number > INTEGER_MAX || number < -INTEGER_MAX)
		return -ERANGE;
	return buffer_printf(out, "%" JSON_INTEGER_FORMAT, number);
}

/* --- objects and arrays --- */

/* The UTF-16 code unit of the character that comes first in order; only its place among others matters. */
static uint32_t first_unit(uint32_t code)
{
	return code < 0x10000 ? code : 0xd800 + ((code - 0x10000) >> 10);
}

static int compare_names(const void *one, const void *other)
{
	const char *a = *(const char *const *)one, *b = *(const char *const *)other;
	uint32_t code_a = 0, code_b = 0;

	for (;;) {
		const size_t size_a = utf8_decode(a, strlen(a), &code_a), size_b = utf8_decode(b, strlen(b), &code_b);

		if (!size_a || !size_b)
			return size_a ? 1 : size_b ? -1 : 0;
		if (code_a != code_b)
			break;
		a += size_a;
		b += size_b;
	}
	if (first_unit(code_a) != first_unit(code_b))
		return first_unit(code_a) < first_unit(code_b) ? -1 : 1;
	return code_a < code_b ? -1 : 1;
}

static int append_members(const json_t *object, const char **names, size_t count, struct buffer *out)
{
	int r = buffer_append(out, "{", 1);

	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (i > 0)
			r = buffer_append(out, ",", 1);
		if (r == 0)
			r = append_string(out, names[i], strlen(names[i]));
		if (r == 0)
			r = buffer_append(out, ":", 1);
		if (r == 0)
			r = canonical_json(json_object_get(object, names[i]), out);
	}
	return r == 0 ? buffer_append(out, "}", 1) : r;
}

static int append_object(const json_t *value, struct buffer *out)
{
	json_t *object = (json_t *)(uintptr_t)value; /* jansson's iterators take no const */
	const size_t size = json_object_size(object);
	cleanup(cleanup_free) const char **names = calloc(size + 1, sizeof(*names));
	size_t count = 0;
	const char *name;
	json_t *member;

	if (!names)
		return -ENOMEM;
	json_object_foreach(object, name, member)
	{
		names[count++] = name;
	}
	return append_members(object, names, count, out);
}

static int append_array(const json_t *array, struct buffer *out)
{
	int r = buffer_append(out, "[", 1);

	for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
		if (i > 0)
			r = buffer_append(out, ",", 1);
		if (r == 0)
			r = canonical_json(json_array_get(array, i), out);
	}
	return r == 0 ? buffer_append(out, "]", 1) : r;
}

int canonical_json(const json_t *value, struct buffer *out)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return append_object(value, out);
	case JSON_ARRAY:
		return append_array(value, out);
	case JSON_STRING:
		return append_string(out, json_string_value(value), json_string_length(value));
	case JSON_INTEGER:
		return append_integer(out, json_integer_value(value));
	case JSON_REAL:
		return append_real(out, json_real_value(value));
	case JSON_TRUE:
		return buffer_append_string(out, "true");
	case JSON_FALSE:
		return buffer_append_string(out, "false");
	case JSON_NULL:
		break;
	}
	return buffer_append_string(out, "null");
}
