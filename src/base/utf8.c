/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8 by its bit patterns: the first byte determines how many follow, each beginning with the bits 10. */
#include "base/utf8.h"

static bool continues(char byte)
{
	return ((uint8_t)byte & 0xc0) == 0x80;
}

size_t utf8_decode(const char *text, size_t size, uint32_t *code)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least; /* smaller code points have a shorter form */
	} forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t i = 0; size > 0 && i < sizeof(forms) / sizeof(*forms); i++) {
		if (((uint8_t)text[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (size < i + 1)
			return 0;

		uint32_t value = (uint8_t)text[0] & (uint8_t)~forms[i].mask;
		for (size_t k = 1; k <= i; k++) {
			if (!continues(text[k]))
				return 0;
			value = value << 6 | ((uint8_t)text[k] & 0x3f);
		}
		if (value < forms[i].least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
			return 0;
		*code = value;
		return i + 1;
	}
	return 0;
}

size_t utf8_cut(const char *text, size_t size, size_t cap)
{
	if (size <= cap)
		return size;

	/* A character begins at most three bytes back; text that is not UTF-8 is cut at `cap`. */
	for (size_t n = cap; n + 3 >= cap; n--) {
		if (!continues(text[n]))
			return n;
		if (n == 0)
			break;
	}
	return cap;
}

bool utf8_is_unprintable(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c || (code >= 0x200e && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}
