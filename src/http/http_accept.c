/* SPDX-License-Identifier: BSD-2-Clause */
/* Parameters other than q are skipped: a version that we do not write is a matter of the client's next choice. */
#include "http/http_accept.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The size up to a separator that is outside of quotes, or to the end. */
static size_t span(const char *text, size_t size, char separator)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < size && (quoted || text[i] != separator); i++) {
		if (text[i] == '"')
			quoted = !quoted;
		else if (quoted && text[i] == '\\' && i + 1 < size)
			i++;
	}
	return i;
}

static void trim(const char **text, size_t *size)
{
	for (; *size > 0 && is_blank(**text); (*text)++)
		(*size)--;
	for (; *size > 0 && is_blank((*text)[*size - 1]);)
		(*size)--;
}

/* "0.75": at most one digit before and three after the point. False: malformed. */
static bool parse_quality(const char *text, size_t size, unsigned *quality)
{
	unsigned value, unit = HTTP_QUALITY_MAX;

	if (size == 0 || size > 5 || (text[0] != '0' && text[0] != '1') || (size > 1 && text[1] != '.'))
		return false;
	value = (unsigned)(text[0] - '0') * HTTP_QUALITY_MAX;
	for (size_t i = 2; i < size; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		unit /= 10;
		value += (unsigned)(text[i] - '0') * unit;
	}
	if (value > HTTP_QUALITY_MAX)
		return false;
	*quality = value;
	return true;
}

/* How closely a range is the type; 0: not at all. */
static unsigned match(const char *range, size_t size, const char *type)
{
	const size_t main_size = strcspn(type, "/") + 1;

	if (size == strlen(type) && strncasecmp(range, type, size) == 0)
		return 3;
	if (size == main_size + 1 && strncasecmp(range, type, main_size) == 0 && range[main_size] == '*')
		return 2;
	return size == 3 && memcmp(range, "*/*", 3) == 0;
}

static void read_range(struct http_preference *preference, const char *text, size_t size, const char *type)
{
	unsigned quality = HTTP_QUALITY_MAX, specificity;
	size_t part_size = span(text, size, ';');
	const char *part = text;
	size_t left = size - part_size;

	trim(&part, &part_size);
	specificity = match(part, part_size, type);
	for (text += size - left; left > 0; text += part_size, left -= part_size) {
		size_t parameter_size;

		part_size = 1 + span(text + 1, left - 1, ';'); /* with the semicolon */
		part = text + 1;
		parameter_size = part_size - 1;
		trim(&part, &parameter_size);
		if (parameter_size >= 2 && strncasecmp(part, "q=", 2) == 0 &&
		    !parse_quality(part + 2, parameter_size - 2, &quality))
			return;
	}
	if (specificity == 0 || specificity < preference->specificity)
		return;
	if (specificity > preference->specificity || quality > preference->quality)
		preference->quality = quality;
	preference->specificity = specificity;
}

void http_accept_read(struct http_preference *preference, const char *value, const char *type)
{
	for (size_t left = strlen(value), size; left > 0; value += size, left -= size) {
		size = span(value, left, ',');
		read_range(preference, value, size, type);
		size += size < left; /* the comma */
	}
}
