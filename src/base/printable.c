/* SPDX-License-Identifier: BSD-2-Clause */
/* Each character is shown as it is, or its bytes are escaped. */
#include "base/printable.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/utf8.h"

#define PIECE_SIZE (4 * 4 + 1) /* a character of four bytes, each escaped */
#define CUT_MARK "\xE2\x80\xA6"
#define WORD_SIZE 512 /* of a word; longer ones are cut */

/* Writes the printable form of the first character. Returns that character's bytes in `text`. */
static size_t next_piece(const char *text, size_t size, char piece[static PIECE_SIZE])
{
	uint32_t code;
	size_t used = utf8_decode(text, size, &code);
	size_t end = 0;

	if (used > 0 && !utf8_is_unprintable(code)) {
		memcpy(piece, text, used);
		piece[used] = '\0';
		return used;
	}
	used = used > 0 ? used : 1;
	for (size_t i = 0; i < used; i++)
		end += (size_t)snprintf(piece + end, PIECE_SIZE - end, "\\x%02X", (unsigned)(uint8_t)text[i]);
	return used;
}

int printable_append(struct buffer *out, const char *text, size_t size)
{
	char piece[PIECE_SIZE];
	int r = 0;

	for (size_t at = 0; r == 0 && at < size;) {
		at += next_piece(text + at, size - at, piece);
		r = buffer_append_string(out, piece);
	}
	return r;
}

const char *printable(char *into, size_t room, const char *text)
{
	size_t size = strnlen(text, room); /* more can't fit */
	size_t used = 0, fits = 0;	   /* fits: where the mark still fits */
	char piece[PIECE_SIZE];

	for (size_t at = 0; at < size;) {
		size_t width;

		at += next_piece(text + at, size - at, piece);
		width = strlen(piece);
		if (used + width >= room) {
			memcpy(into + fits, CUT_MARK, sizeof(CUT_MARK));
			return into;
		}
		memcpy(into + used, piece, width);
		used += width;
		if (used + sizeof(CUT_MARK) <= room)
			fits = used;
	}
	into[used] = '\0';
	return into;
}

const char *printable_word(char *into, size_t room, const char *text)
{
	static const char plain[] = PLAIN_CHARACTERS;
	char shown[WORD_SIZE];
	size_t used = 0;

	if (*text && !text[strspn(text, plain)])
		return printable(into, room, text);
	printable(shown, sizeof(shown), text);
	into[used++] = '\'';
	for (const char *at = shown; *at && used + sizeof("'\\''") < room; at++) {
		if (*at == '\'')
			used += (size_t)snprintf(into + used, room - used, "'\\''");
		else
			into[used++] = *at;
	}
	into[used++] = '\'';
	into[used] = '\0';
	return into;
}

size_t printable_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((uint8_t)*text & 0xc0) != 0x80;
	return width;
}
