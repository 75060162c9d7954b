/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes are counted in powers of 1000. */
#include "pcapctl/output/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

const char *format_bytes(uint64_t bytes, char text[static FORMAT_SIZE])
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	double value = (double)bytes / 1000;
	size_t unit = 0;

	if (bytes < 1000) {
		snprintf(text, FORMAT_SIZE, "%" PRIu64 " B", bytes);
		return text;
	}
	for (; value >= 999.5 && unit + 1 < sizeof(units) / sizeof(*units); unit++)
		value /= 1000;
	snprintf(text, FORMAT_SIZE, value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

const char *format_count(uint64_t count, char text[static FORMAT_SIZE])
{
	char digits[32];
	size_t size = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);
	char *end = text;

	for (size_t i = 0; i < size; i++) {
		if (i > 0 && (size - i) % 3 == 0)
			*end++ = ',';
		*end++ = digits[i];
	}
	*end = '\0';
	return text;
}

const char *format_duration(uint64_t ns, char text[static FORMAT_SIZE])
{
	uint64_t seconds = (ns + NS_PER_S / 2) / NS_PER_S;

	if (ns < 10 * NS_PER_S)
		snprintf(text, FORMAT_SIZE, "%.1f s", (double)ns / NS_PER_S);
	else if (seconds < 120)
		snprintf(text, FORMAT_SIZE, "%" PRIu64 " s", seconds);
	else if (seconds < 7200)
		snprintf(text, FORMAT_SIZE, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
	else
		snprintf(text, FORMAT_SIZE, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
	return text;
}

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t json_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

const char *format_time(const char *rfc3339, char text[static FORMAT_SIZE])
{
	char full[CLOCK_TEXT_SIZE];
	uint64_t ns;

	if (clock_parse(rfc3339, &ns) < 0)
		snprintf(text, FORMAT_SIZE, "%.40s", rfc3339);
	else
		snprintf(text, FORMAT_SIZE, "%.23sZ", clock_format(ns, full));
	return text;
}
