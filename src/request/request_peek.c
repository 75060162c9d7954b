/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request_peek_message() validates RFC 8259's grammar and notes only where the values of `node` and `nodere` are. It is
 * stricter than the full parser, and its "no" refuses nothing: a message that it accepts, jansson accepts as well,
 * unless a field occurs twice. The fuzz target checks that.
 */
#include "request/request_peek.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

#define SURE_DIGITS 17 /* a number of this length fits an int64_t, a fraction a double */

struct scanner {
	const char *at, *end;
};

static bool scan_value(struct scanner *scanner);

/* The index of the closing quote of the string that opens at `i`, or `size`. */
static size_t string_end(const char *bytes, size_t size, size_t i)
{
	for (i++; i < size && bytes[i] != '"'; i++)
		if (bytes[i] == '\\')
			i++;
	return i < size ? i : size;
}

bool request_peek_is_deeper(const char *bytes, size_t size, unsigned depth_max)
{
	unsigned depth = 0;

	for (size_t i = 0; i < size; i++) {
		switch (bytes[i]) {
		case '"':
			i = string_end(bytes, size, i);
			break;
		case '[':
		case '{':
			if (++depth > depth_max)
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

static void skip_space(struct scanner *scanner)
{
	while (scanner->at < scanner->end &&
	       (*scanner->at == ' ' || *scanner->at == '\t' || *scanner->at == '\n' || *scanner->at == '\r'))
		scanner->at++;
}

/* Skips `c` if it is next. */
static bool accept_char(struct scanner *scanner, char c)
{
	if (scanner->at == scanner->end || *scanner->at != c)
		return false;
	scanner->at++;
	return true;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* After the backslash. */
static bool scan_escape(struct scanner *scanner)
{
	if (scanner->at == scanner->end || !*scanner->at || !strchr("\"\\/bfnrtu", *scanner->at))
		return false;
	if (*scanner->at++ != 'u')
		return true;
	if (scanner->end - scanner->at < 4 || *scanner->at == 'd' || *scanner->at == 'D') /* may be a surrogate */
		return false;
	for (int i = 0; i < 4; i++)
		if (!is_hex(*scanner->at++))
			return false;
	return true;
}

static bool scan_string(struct scanner *scanner, struct request_peek_string *span)
{
	if (!accept_char(scanner, '"'))
		return false;
	*span = (struct request_peek_string){.text = scanner->at};
	while (scanner->at < scanner->end) {
		uint8_t c = (uint8_t)*scanner->at;

		if (c == '"') {
			span->size = (size_t)(scanner->at++ - span->text);
			return true;
		}
		if (c < 0x20)
			return false;
		if (c >= 0x80) {
			uint32_t code;
			size_t length = utf8_decode(scanner->at, (size_t)(scanner->end - scanner->at), &code);

			if (!length)
				return false;
			scanner->at += length;
			continue;
		}
		scanner->at++;
		if (c == '\\') {
			span->escaped = true;
			if (!scan_escape(scanner))
				return false;
		}
	}
	return false;
}

static size_t scan_digits(struct scanner *scanner)
{
	const char *from = scanner->at;

	while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
		scanner->at++;
	return (size_t)(scanner->at - from);
}

/* An exponent is left unread, so the scan fails: it is neither a comma nor a bracket. */
static bool scan_number(struct scanner *scanner)
{
	const char *from = scanner->at;
	bool zero;
	size_t digits;

	accept_char(scanner, '-');
	zero = scanner->at < scanner->end && *scanner->at == '0';
	digits = scan_digits(scanner);
	if (!digits || (zero && digits > 1))
		return false;
	if (accept_char(scanner, '.') && !scan_digits(scanner))
		return false;
	return scanner->at - from <= SURE_DIGITS;
}

static bool scan_word(struct scanner *scanner, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(scanner->end - scanner->at) < length || memcmp(scanner->at, word, length) != 0)
		return false;
	scanner->at += length;
	return true;
}

static bool scan_array(struct scanner *scanner)
{
	skip_space(scanner);
	if (accept_char(scanner, ']'))
		return true;
	do {
		if (!scan_value(scanner))
			return false;
	} while (accept_char(scanner, ','));
	return accept_char(scanner, ']');
}

/* Where to note the value of this field; NULL: nowhere. */
static struct request_peek_string *target_of(struct request_peek *peek, const struct request_peek_string *name)
{
	if (peek && name->size == 4 && memcmp(name->text, "node", 4) == 0)
		return &peek->node;
	if (peek && name->size == 6 && memcmp(name->text, "nodere", 6) == 0)
		return &peek->nodere;
	return NULL;
}

/* After the brace. `peek` is NULL except for the top-level object. */
static bool scan_object(struct scanner *scanner, struct request_peek *peek)
{
	skip_space(scanner);
	if (accept_char(scanner, '}'))
		return true;
	do {
		struct request_peek_string name, *value;

		skip_space(scanner);
		if (!scan_string(scanner, &name) || name.escaped)
			return false;
		skip_space(scanner);
		if (!accept_char(scanner, ':'))
			return false;
		value = target_of(peek, &name);
		if (!value) {
			if (!scan_value(scanner))
				return false;
			continue;
		}
		skip_space(scanner);
		if (value->text || !scan_string(scanner, value))
			return false;
		skip_space(scanner);
	} while (accept_char(scanner, ','));
	return accept_char(scanner, '}');
}

/* A value and the white space around it. */
static bool scan_value(struct scanner *scanner)
{
	struct request_peek_string ignored;
	bool ok;

	skip_space(scanner);
	if (scanner->at == scanner->end)
		return false;
	switch (*scanner->at) {
	case '"':
		ok = scan_string(scanner, &ignored);
		break;
	case '{':
		scanner->at++;
		ok = scan_object(scanner, NULL);
		break;
	case '[':
		scanner->at++;
		ok = scan_array(scanner);
		break;
	case 't':
		ok = scan_word(scanner, "true");
		break;
	case 'f':
		ok = scan_word(scanner, "false");
		break;
	case 'n':
		ok = scan_word(scanner, "null");
		break;
	default:
		ok = scan_number(scanner);
	}
	skip_space(scanner);
	return ok;
}

bool request_peek_message(const char *bytes, size_t size, struct request_peek *peek)
{
	struct scanner scanner = {.at = bytes, .end = size ? bytes + size : bytes};

	*peek = (struct request_peek){0};
	if (!size)
		return false;
	skip_space(&scanner);
	if (!accept_char(&scanner, '{') || !scan_object(&scanner, peek))
		return false;
	skip_space(&scanner);
	return scanner.at == scanner.end && !peek->node.text != !peek->nodere.text;
}

void request_peek_field_at(const char *bytes, size_t position, char field[static REQUEST_QUOTE_SIZE])
{
	unsigned depth = 0;
	bool name_next = false;

	field[0] = '\0';
	for (size_t i = 0; i < position; i++) {
		switch (bytes[i]) {
		case '"': {
			size_t close = string_end(bytes, position, i);

			if (depth == 1 && name_next)
				request_text_quote(bytes + i + 1, close - i - 1, field);
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
