/*
 * The first look at a message. skim_message() is a validator of RFC 8259's grammar that only remembers where the values
 * of `node` and `nodere` stand. It is stricter than the real parser and never the one that refuses: where it says yes,
 * jansson accepts the message, too, but for a field given twice. (The fuzz target holds it to that.)
 */
#include "request/request_skim.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

#define SURE_DIGITS 17 /* any number of so many characters fits an int64_t, any fraction a double */

struct cursor {
	const char *at, *end;
};

static bool skim_value(struct cursor *cursor);

/* The closing quote of the string whose opening quote stands at `i`, or `size`. */
static size_t string_end(const char *bytes, size_t size, size_t i)
{
	for (i++; i < size && bytes[i] != '"'; i++)
		if (bytes[i] == '\\')
			i++;
	return i < size ? i : size;
}

bool skim_is_deeper(const char *bytes, size_t size, unsigned most)
{
	unsigned depth = 0;

	for (size_t i = 0; i < size; i++) {
		switch (bytes[i]) {
		case '"':
			i = string_end(bytes, size, i);
			break;
		case '[':
		case '{':
			if (++depth > most)
				return true;
			break;
		case ']':
		case '}':
			depth -= depth > 0;
			break;
		}
	}
	return false;
}

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end &&
	       (*cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\n' || *cursor->at == '\r'))
		cursor->at++;
}

/* Steps over `c` if it is next. */
static bool accept(struct cursor *cursor, char c)
{
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* After the backslash. */
static bool skim_escape(struct cursor *cursor)
{
	if (cursor->at == cursor->end || !*cursor->at || !strchr("\"\\/bfnrtu", *cursor->at))
		return false;
	if (*cursor->at++ != 'u')
		return true;
	if (cursor->end - cursor->at < 4 || *cursor->at == 'd' || *cursor->at == 'D') /* may be a surrogate */
		return false;
	for (int i = 0; i < 4; i++)
		if (!is_hex(*cursor->at++))
			return false;
	return true;
}

static bool skim_string(struct cursor *cursor, struct skim_span *span)
{
	if (!accept(cursor, '"'))
		return false;
	*span = (struct skim_span){.text = cursor->at};
	while (cursor->at < cursor->end) {
		uint8_t c = (uint8_t)*cursor->at;

		if (c == '"') {
			span->size = (size_t)(cursor->at++ - span->text);
			return true;
		}
		if (c < 0x20)
			return false;
		if (c >= 0x80) {
			uint32_t code;
			size_t length = utf8_decode(cursor->at, (size_t)(cursor->end - cursor->at), &code);

			if (!length)
				return false;
			cursor->at += length;
			continue;
		}
		cursor->at++;
		if (c == '\\') {
			span->escaped = true;
			if (!skim_escape(cursor))
				return false;
		}
	}
	return false;
}

static size_t skim_digits(struct cursor *cursor)
{
	const char *from = cursor->at;

	while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
		cursor->at++;
	return (size_t)(cursor->at - from);
}

/* Numbers with an exponent end in false: what follows is then neither comma nor bracket. */
static bool skim_number(struct cursor *cursor)
{
	const char *from = cursor->at;
	bool zero;
	size_t digits;

	accept(cursor, '-');
	zero = cursor->at < cursor->end && *cursor->at == '0';
	digits = skim_digits(cursor);
	if (!digits || (zero && digits > 1))
		return false;
	if (accept(cursor, '.') && !skim_digits(cursor))
		return false;
	return cursor->at - from <= SURE_DIGITS;
}

static bool skim_word(struct cursor *cursor, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
		return false;
	cursor->at += length;
	return true;
}

static bool skim_array(struct cursor *cursor)
{
	skip_space(cursor);
	if (accept(cursor, ']'))
		return true;
	do {
		if (!skim_value(cursor))
			return false;
	} while (accept(cursor, ','));
	return accept(cursor, ']');
}

/* Where the value of this field is to be remembered; NULL: nowhere. */
static struct skim_span *wanted(struct skim *skim, const struct skim_span *name)
{
	if (skim && name->size == 4 && memcmp(name->text, "node", 4) == 0)
		return &skim->node;
	if (skim && name->size == 6 && memcmp(name->text, "nodere", 6) == 0)
		return &skim->nodere;
	return NULL;
}

/* After the brace. `skim`: of the top-level object, otherwise NULL. */
static bool skim_object(struct cursor *cursor, struct skim *skim)
{
	skip_space(cursor);
	if (accept(cursor, '}'))
		return true;
	do {
		struct skim_span name, *value;

		skip_space(cursor);
		if (!skim_string(cursor, &name) || name.escaped)
			return false;
		skip_space(cursor);
		if (!accept(cursor, ':'))
			return false;
		value = wanted(skim, &name);
		if (!value) {
			if (!skim_value(cursor))
				return false;
			continue;
		}
		skip_space(cursor);
		if (value->text || !skim_string(cursor, value))
			return false;
		skip_space(cursor);
	} while (accept(cursor, ','));
	return accept(cursor, '}');
}

/* A value and the white space around it. */
static bool skim_value(struct cursor *cursor)
{
	struct skim_span ignored;
	bool ok;

	skip_space(cursor);
	if (cursor->at == cursor->end)
		return false;
	switch (*cursor->at) {
	case '"':
		ok = skim_string(cursor, &ignored);
		break;
	case '{':
		cursor->at++;
		ok = skim_object(cursor, NULL);
		break;
	case '[':
		cursor->at++;
		ok = skim_array(cursor);
		break;
	case 't':
		ok = skim_word(cursor, "true");
		break;
	case 'f':
		ok = skim_word(cursor, "false");
		break;
	case 'n':
		ok = skim_word(cursor, "null");
		break;
	default:
		ok = skim_number(cursor);
	}
	skip_space(cursor);
	return ok;
}

bool skim_message(const char *bytes, size_t size, struct skim *skim)
{
	struct cursor cursor = {.at = bytes, .end = size ? bytes + size : bytes};

	*skim = (struct skim){0};
	if (!size)
		return false;
	skip_space(&cursor);
	if (!accept(&cursor, '{') || !skim_object(&cursor, skim))
		return false;
	skip_space(&cursor);
	return cursor.at == cursor.end && !skim->node.text != !skim->nodere.text;
}

void skim_field_at(const char *bytes, size_t position, char field[static REQUEST_QUOTE_SIZE])
{
	unsigned depth = 0;
	bool name_next = false;

	field[0] = '\0';
	for (size_t i = 0; i < position; i++) {
		switch (bytes[i]) {
		case '"': {
			size_t close = string_end(bytes, position, i);

			if (depth == 1 && name_next)
				text_quote(bytes + i + 1, close - i - 1, field);
			i = close;
			break;
		}
		case '{':
		case '[':
			name_next = bytes[i] == '{';
			depth++;
			break;
		case ']':
		case '}':
			depth -= depth > 0;
			break;
		case ',':
		case ':':
			name_next = bytes[i] == ',';
			break;
		}
	}
}
