/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers come from the service that has the file, or from an attacker where TLS is off: every text is bounded, and
 * what is found is checked where it is used. */
#include "sink/s3/xml_text.h"

#include <stdint.h>
#include <string.h>

/* The end of the start tag "<name …>", or NULL. An empty element "<name/>" ends in "/>". */
static const char *find_start(const char *xml, const char *name)
{
	const size_t size = strlen(name);

	for (const char *at = xml; (at = strchr(at, '<')); at++)
		if (strncmp(at + 1, name, size) == 0 && at[1 + size] && strchr("> \t\r\n/", at[1 + size]))
			return strchr(at, '>');
	return NULL;
}

static size_t put_character(uint32_t code, char bytes[static 4])
{
	if (code < 0x80) {
		bytes[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		bytes[0] = (char)(0xc0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 63));
		return 2;
	}
	if (code < 0x10000) {
		bytes[0] = (char)(0xe0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 63));
		bytes[2] = (char)(0x80 | (code & 63));
		return 3;
	}
	bytes[0] = (char)(0xf0 | code >> 18);
	bytes[1] = (char)(0x80 | (code >> 12 & 63));
	bytes[2] = (char)(0x80 | (code >> 6 & 63));
	bytes[3] = (char)(0x80 | (code & 63));
	return 4;
}

/* "#38" or "#x26" up to ';'; 0: none of these, or no character that a text may have. */
static uint32_t read_number(const char *text)
{
	static const char digits[] = "0123456789abcdef";
	const uint32_t base = text[1] == 'x' ? 16 : 10;
	uint32_t code = 0;

	for (text += base == 16 ? 2 : 1; *text && *text != ';'; text++) {
		const char *digit = strchr(digits, *text | 0x20);

		if (!digit || (uint32_t)(digit - digits) >= base || code > 0x10ffff)
			return 0;
		code = code * base + (uint32_t)(digit - digits);
	}
	return code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : code;
}

/* The character of the entity at `text` ("&amp;"), and its size there; 0: it is none. */
static uint32_t read_entity(const char *text, size_t *size)
{
	static const struct {
		const char *text;
		uint32_t code;
	} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
	const char *end = strchr(text, ';');

	for (size_t i = 0; i < sizeof(entities) / sizeof(*entities); i++) {
		*size = strlen(entities[i].text);
		if (strncmp(text, entities[i].text, *size) == 0)
			return entities[i].code;
	}
	if (!end || text[1] != '#')
		return 0;
	*size = (size_t)(end - text) + 1;
	return read_number(text + 1);
}

const char *xml_text(const char *xml, const char *name, char *text, size_t room)
{
	const char *at = find_start(xml, name);
	size_t used = 0;

	*text = '\0';
	if (!at)
		return NULL;
	if (at[-1] == '/')
		return at + 1;
	for (at++; *at && *at != '<';) {
		char bytes[4] = {*at};
		size_t size = 1, count = 1;
		const uint32_t code = *at == '&' ? read_entity(at, &size) : 0;

		if (code)
			count = put_character(code, bytes);
		else
			size = 1;
		if (used + count >= room)
			break;
		memcpy(text + used, bytes, count);
		used += count;
		at += size;
	}
	text[used] = '\0';
	if (at[0] == '<' && at[1] == '/')
		return at;
	*text = '\0';
	return NULL;
}

bool xml_has(const char *xml, const char *name)
{
	return find_start(xml, name);
}
