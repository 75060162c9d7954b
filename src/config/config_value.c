/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values. A value is stored if it has a type that the row accepts, is in the row's range, and obeys the row's own rule.
 * Fields are found by offset, so that a new key takes one row and one member.
 */
#include "config/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/quantity.h"
#include "base/utf8.h"
#include "config/config.h"

static void *field_of(const struct config_row *row, void *base)
{
	return base && row->offset != CONFIG_NO_FIELD ? (char *)base + row->offset : NULL;
}

const char *config_quote(const char *text, size_t size, char out[static CONFIG_QUOTE_SIZE])
{
	const size_t room = CONFIG_QUOTE_SIZE - sizeof("\"…\"");
	size_t kept = utf8_cut(text, size, room);

	snprintf(out, CONFIG_QUOTE_SIZE, "\"%.*s%s\"", (int)kept, text, kept < size ? "…" : "");
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return out;
}

const char *config_value_expected(const struct config_row *row)
{
	static const char *const wanted[] = {
		[CONFIG_BOOL] = "true or false",
		[CONFIG_COUNT] = "a whole number",
		[CONFIG_BYTES] = "a size: a whole number of bytes, or a string like \"64MiB\"",
		[CONFIG_DURATION] = "a time: a number of seconds, or a string like \"1.5s\"",
		[CONFIG_STRING] = "a string in quotes",
		[CONFIG_CHOICE] = "a string in quotes",
		[CONFIG_SNAP] = "a whole number of bytes, or \"headers\"",
		[CONFIG_SWITCH] = "true, false, or a string in quotes",
		[CONFIG_SECRET] = "a string in quotes",
		[CONFIG_FILE] = "a string in quotes",
		[CONFIG_STRINGS] = "an array of strings, like [\"a\", \"b\"]",
	};

	return wanted[row->type];
}

/* Describes a value for people. */
static const char *describe(const struct toml_value *value, char out[static CONFIG_QUOTE_SIZE])
{
	switch (value->type) {
	case TOML_STRING:
		return config_quote(value->string, value->size, out);
	case TOML_INTEGER:
		snprintf(out, CONFIG_QUOTE_SIZE, "the number %" PRId64, value->integer);
		return out;
	case TOML_FLOAT:
		snprintf(out, CONFIG_QUOTE_SIZE, "the number %g", value->real);
		return out;
	case TOML_BOOLEAN:
		return value->boolean ? "true" : "false";
	case TOML_DATE:
		return "a date or time";
	case TOML_ARRAY:
		return "an array";
	case TOML_TABLE:
		break;
	}
	return "a table";
}

static bool is_confidential(const struct config_row *row)
{
	return row->type == CONFIG_SECRET || row->confidential;
}

static int wrong_type(const struct config_row *row, const struct toml_value *value, struct error *err)
{
	const char *wanted = config_value_expected(row);
	char got[CONFIG_QUOTE_SIZE];

	if (is_confidential(row))
		return error_set(err, -EINVAL, "must be %s", wanted);
	return error_set(err, -EINVAL, "must be %s, got %s", wanted, describe(value, got));
}

/* Formats a limit for people. */
static const char *limit_text(const struct config_row *row, uint64_t limit, char *text, size_t size)
{
	if (row->type == CONFIG_DURATION && limit % NS_PER_S == 0)
		snprintf(text, size, "%" PRIu64 " seconds", limit / NS_PER_S);
	else if (row->type == CONFIG_DURATION)
		snprintf(text, size, "%g seconds", (double)limit / (double)NS_PER_S);
	else if (row->type == CONFIG_BYTES && limit >= MIB && limit % MIB == 0)
		snprintf(text, size, "%" PRIu64 " MiB", limit / MIB);
	else
		snprintf(text, size, "%" PRIu64 "%s", limit, row->type == CONFIG_BYTES ? " bytes" : "");
	return text;
}

static int out_of_range(const struct config_row *row, const struct toml_value *value, struct error *err)
{
	char min[48], max[48], got[CONFIG_QUOTE_SIZE];

	return error_set(err, -EINVAL, "must be from %s to %s, got %s", limit_text(row, row->min, min, sizeof(min)),
			 limit_text(row, row->max, max, sizeof(max)), describe(value, got));
}

/* -EINVAL: the string is not a quantity. A value too large for the type saturates; the range then refuses it. */
static int quantity_of_text(const struct config_row *row, const struct toml_value *value, uint64_t *quantity)
{
	int r = -EINVAL;

	if (strlen(value->string) != value->size)
		return -EINVAL;
	if (row->type == CONFIG_BYTES)
		r = quantity_parse_bytes(value->string, quantity);
	else if (row->type == CONFIG_DURATION)
		r = quantity_parse_duration(value->string, quantity);
	if (r == -ERANGE) {
		*quantity = UINT64_MAX;
		return 0;
	}
	return r;
}

/* A number in the field's unit, saturating. */
static int quantity_of(const struct config_row *row, const struct toml_value *value, uint64_t *quantity,
		       struct error *err)
{
	const uint64_t unit = row->type == CONFIG_DURATION ? NS_PER_S : 1;

	if (value->type == TOML_INTEGER) {
		if (value->integer < 0)
			return out_of_range(row, value, err);
		if (__builtin_mul_overflow((uint64_t)value->integer, unit, quantity))
			*quantity = UINT64_MAX;
		return 0;
	}
	if (value->type == TOML_FLOAT && row->type == CONFIG_DURATION) {
		if (!(value->real >= 0 && value->real <= (double)row->max / (double)NS_PER_S))
			return out_of_range(row, value, err);
		*quantity = (uint64_t)llround(value->real * (double)NS_PER_S);
		return 0;
	}
	if (value->type == TOML_STRING && quantity_of_text(row, value, quantity) == 0)
		return 0;
	return wrong_type(row, value, err);
}

static int apply_quantity(const struct config_row *row, const struct toml_value *value, uint64_t *field,
			  struct error *err)
{
	uint64_t quantity = 0;
	int r = quantity_of(row, value, &quantity, err);

	if (r < 0)
		return r;
	if (quantity < row->min || quantity > row->max)
		return out_of_range(row, value, err);
	if (field)
		*field = quantity;
	return 0;
}

static int check_characters(const struct toml_value *value, struct error *err)
{
	uint32_t code;
	size_t step;

	if (value->size > CONFIG_STRING_MAX)
		return error_set(err, -EINVAL, "is longer than %d bytes", CONFIG_STRING_MAX);
	for (size_t i = 0; i < value->size; i += step) {
		step = utf8_decode(value->string + i, value->size - i, &code);
		if (step == 0)
			return error_set(err, -EINVAL, "is not UTF-8");
		if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			return error_set(err, -EINVAL, "cannot contain control characters");
	}
	return 0;
}

/* Checks one string: its characters and the row's own rule. */
static int check_text(const struct config_row *row, const struct toml_value *value, struct error *err)
{
	const char *objection = NULL;
	char quote[CONFIG_QUOTE_SIZE];
	int r = check_characters(value, err);

	if (r == 0 && row->validate && value->size > 0)
		objection = row->validate(value->string);
	if (objection && is_confidential(row))
		return error_set(err, -EINVAL, "%s", objection);
	if (objection)
		return error_set(err, -EINVAL, "%s %s", config_quote(value->string, value->size, quote), objection);
	return r;
}

static bool is_choice(const struct config_row *row, const char *text)
{
	for (size_t i = 0; row->choices && row->choices[i]; i++)
		if (!strcmp(row->choices[i], text))
			return true;
	return false;
}

static int wrong_choice(const struct config_row *row, const struct toml_value *value, struct error *err)
{
	char quote[CONFIG_QUOTE_SIZE], list[256] = "";

	for (size_t i = 0; row->choices[i]; i++) {
		size_t used = strlen(list);

		snprintf(list + used, sizeof(list) - used, "%s\"%s\"", i == 0 ? "" : " or ", row->choices[i]);
	}
	return error_set(err, -EINVAL, "must be %s, got %s", list, config_quote(value->string, value->size, quote));
}

static int apply_text(const struct config_row *row, const struct toml_value *value, void *base, struct error *err)
{
	int r;

	if (value->type != TOML_STRING)
		return wrong_type(row, value, err);
	if (value->size == 0 && row->required)
		return error_set(err, -EINVAL, "must not be empty");
	r = check_text(row, value, err);
	if (r < 0)
		return r;
	if (row->type == CONFIG_CHOICE && !is_choice(row, value->string))
		return wrong_choice(row, value, err);
	return config_value_set_text(row, base, value->string);
}

static int apply_snap(const struct config_row *row, const struct toml_value *value, void *base, struct error *err)
{
	char digits[24];

	if (value->type == TOML_STRING && is_choice(row, value->string))
		return config_value_set_text(row, base, value->string);
	if (value->type != TOML_INTEGER)
		return wrong_type(row, value, err);
	if (value->integer < 0 || (uint64_t)value->integer < row->min || (uint64_t)value->integer > row->max)
		return out_of_range(row, value, err);
	snprintf(digits, sizeof(digits), "%" PRId64, value->integer);
	return config_value_set_text(row, base, digits);
}

/* "" is as good as none. */
static int apply_switch(const struct config_row *row, const struct toml_value *value, void *base, struct error *err)
{
	if (value->type == TOML_BOOLEAN)
		return config_value_set_text(row, base, value->boolean ? "true" : "false");
	if (value->type != TOML_STRING || (value->size > 0 && !*row->choices))
		return error_set(err, -EINVAL, "must be true or false%s", *row->choices ? ", or a string" : "");
	return value->size == 0 || is_choice(row, value->string) ? config_value_set_text(row, base, value->string)
								 : wrong_choice(row, value, err);
}

static void clear_strings(struct config_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct config_strings){0};
}

static int check_items(const struct config_row *row, const struct toml_value *value, struct error *err)
{
	char quote[CONFIG_QUOTE_SIZE];

	if (value->type != TOML_ARRAY)
		return wrong_type(row, value, err);
	if (value->size > row->max)
		return error_set(err, -EINVAL, "has %zu entries; the limit is %" PRIu64, value->size, row->max);
	for (size_t i = 0; i < value->size; i++) {
		const struct toml_value *item = &value->items[i];
		int r;

		if (item->type != TOML_STRING)
			return error_set(err, -EINVAL, "must be %s; entry %zu is not a string",
					 config_value_expected(row), i + 1);
		if (item->size == 0)
			return error_set(err, -EINVAL, "entry %zu is empty", i + 1);
		r = check_text(row, item, err);
		if (r < 0)
			return r;
		for (size_t j = 0; j < i; j++)
			if (!strcmp(value->items[j].string, item->string))
				return error_set(err, -EINVAL, "has %s twice",
						 config_quote(item->string, item->size, quote));
	}
	return 0;
}

static int apply_strings(const struct config_row *row, const struct toml_value *value, struct config_strings *field,
			 struct error *err)
{
	struct config_strings strings = {0};
	int r = check_items(row, value, err);

	if (r < 0 || !field)
		return r;
	if (value->size > 0) {
		strings.items = calloc(value->size, sizeof(*strings.items));
		if (!strings.items)
			return -ENOMEM;
	}
	for (; strings.count < value->size; strings.count++) {
		strings.items[strings.count] = strdup(value->items[strings.count].string);
		if (!strings.items[strings.count]) {
			clear_strings(&strings);
			return -ENOMEM;
		}
	}
	clear_strings(field);
	*field = strings;
	return 0;
}

static int apply_bool(const struct config_row *row, const struct toml_value *value, bool *field, struct error *err)
{
	if (value->type != TOML_BOOLEAN)
		return wrong_type(row, value, err);
	if (field)
		*field = value->boolean;
	return 0;
}

int config_value_apply(const struct config_row *row, const struct toml_value *value, void *base, struct error *err)
{
	switch (row->type) {
	case CONFIG_BOOL:
		return apply_bool(row, value, field_of(row, base), err);
	case CONFIG_COUNT:
	case CONFIG_BYTES:
	case CONFIG_DURATION:
		return apply_quantity(row, value, field_of(row, base), err);
	case CONFIG_SNAP:
		return apply_snap(row, value, base, err);
	case CONFIG_SWITCH:
		return apply_switch(row, value, base, err);
	case CONFIG_STRINGS:
		return apply_strings(row, value, field_of(row, base), err);
	case CONFIG_STRING:
	case CONFIG_CHOICE:
	case CONFIG_SECRET:
	case CONFIG_FILE:
		break;
	}
	return apply_text(row, value, base, err);
}

bool config_value_is_on(const struct toml_value *value)
{
	switch (value->type) {
	case TOML_STRING:
	case TOML_ARRAY:
		return value->size > 0;
	case TOML_INTEGER:
		return value->integer != 0;
	case TOML_FLOAT:
		return value->real != 0;
	case TOML_BOOLEAN:
		return value->boolean;
	case TOML_DATE:
	case TOML_TABLE:
		break;
	}
	return true;
}

int config_value_set_text(const struct config_row *row, void *base, const char *text)
{
	char **field = field_of(row, base);
	char *copy;

	if (!field)
		return 0;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	config_value_clear(row, base);
	*field = copy;
	return 0;
}

const char *config_value_text(const struct config_row *row, void *base)
{
	char **field = field_of(row, base);

	return field && *field ? *field : "";
}

void config_value_clear(const struct config_row *row, void *base)
{
	void *field = field_of(row, base);

	if (!field)
		return;
	if (row->type == CONFIG_STRINGS)
		clear_strings(field);
	if (config_type_is_text(row->type)) {
		char **text = field;

		if (*text && row->type == CONFIG_SECRET)
			explicit_bzero(*text, strlen(*text));
		free(*text);
		*text = NULL;
	}
}

/* The words for a switch of Go's flag package, which the original program used. */
static bool read_switch(const char *word, struct toml_value *value)
{
	static const struct {
		const char *word;
		bool on;
	} words[] = {{"true", true},   {"1", true},  {"t", true},  {"T", true},	 {"TRUE", true},   {"True", true},
		     {"false", false}, {"0", false}, {"f", false}, {"F", false}, {"FALSE", false}, {"False", false}};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(words[i].word, word)) {
			value->type = TOML_BOOLEAN;
			value->boolean = words[i].on;
			return true;
		}
	}
	return false;
}

static bool read_number(const char *word, struct toml_value *value)
{
	int64_t number = 0;

	if (!*word)
		return false;
	for (const char *c = word; *c; c++)
		if (*c < '0' || *c > '9' || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *c - '0', &number))
			return false;
	value->type = TOML_INTEGER;
	value->integer = number;
	return true;
}

struct toml_value config_value_from_word(const struct config_row *row, const char *word)
{
	struct toml_value value = {.type = TOML_STRING, .string = word, .size = strlen(word)};

	if (row->type == CONFIG_BOOL || row->type == CONFIG_SWITCH)
		read_switch(word, &value);
	else if (row->type == CONFIG_STRINGS && !*word)
		value = (struct toml_value){.type = TOML_ARRAY};
	else if (!config_type_is_text(row->type) || row->type == CONFIG_SNAP)
		read_number(word, &value);
	return value;
}
