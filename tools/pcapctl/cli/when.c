/* SPDX-License-Identifier: BSD-2-Clause */
/* What is missing is added, and clock_parse reads the rest. mktime() knows the local zone. */
#include "pcapctl/cli/when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/quantity.h"

#define TEXT_MAX 40
#define DATE_CHARACTERS 10 /* 2026-11-23 */
#define UNIX_SECONDS_MAX 9223372036.0

/* Reads "<date>T<hours>:<minutes>[:<seconds>][offset]" as if a missing offset were Z. */
static int parse_loosely(const char *date, const char *time, uint64_t *ns, bool *has_offset)
{
	const size_t digits = strspn(time, "0123456789:.");
	const bool seconds = strspn(time, "0123456789:") > 5;
	char text[2 * TEXT_MAX + 8];

	if (strlen(time) > TEXT_MAX || digits < 5)
		return -EINVAL;
	*has_offset = time[digits];
	snprintf(text, sizeof(text), "%sT%.*s%s%s", date, (int)digits, time, seconds ? "" : ":00",
		 *has_offset ? time + digits : "Z");
	return clock_parse(text, ns);
}

static int to_local(uint64_t as_utc_ns, uint64_t *ns)
{
	const time_t as_utc = (time_t)(as_utc_ns / NS_PER_S);
	struct tm tm;

	gmtime_r(&as_utc, &tm);
	tm.tm_isdst = -1;
	const time_t local = mktime(&tm);
	if (local < 0)
		return -EINVAL;
	*ns = (uint64_t)local * NS_PER_S + as_utc_ns % NS_PER_S;
	return 0;
}

static int parse_date(const char *text, uint64_t *ns)
{
	char date[DATE_CHARACTERS + 1];
	bool has_offset;

	if (strlen(text) <= DATE_CHARACTERS || !strchr("Tt ", text[DATE_CHARACTERS]))
		return -EINVAL;
	snprintf(date, sizeof(date), "%.*s", DATE_CHARACTERS, text);
	if (parse_loosely(date, text + DATE_CHARACTERS + 1, ns, &has_offset) < 0)
		return -EINVAL;
	return has_offset ? 0 : to_local(*ns, ns);
}

/* The time of day on the local day of `near_ns`, or `days` later. */
static int time_of_day(uint64_t since_midnight_ns, uint64_t near_ns, int days, uint64_t *ns)
{
	const time_t near = (time_t)(near_ns / NS_PER_S);
	const unsigned seconds = (unsigned)(since_midnight_ns / NS_PER_S);
	struct tm tm;

	if (!localtime_r(&near, &tm))
		return -EINVAL;
	tm.tm_mday += days;
	tm.tm_hour = (int)(seconds / 3600);
	tm.tm_min = (int)(seconds / 60 % 60);
	tm.tm_sec = (int)(seconds % 60);
	tm.tm_isdst = -1;
	const time_t moment = mktime(&tm);
	if (moment < 0)
		return -EINVAL;
	*ns = (uint64_t)moment * NS_PER_S + since_midnight_ns % NS_PER_S;
	return 0;
}

static int parse_time_of_day(const char *text, uint64_t now_ns, uint64_t after_ns, uint64_t *ns)
{
	uint64_t since_midnight_ns;
	bool has_offset;

	if (parse_loosely("1970-01-01", text, &since_midnight_ns, &has_offset) < 0 || has_offset)
		return -EINVAL;
	int r = time_of_day(since_midnight_ns, after_ns ? after_ns : now_ns, 0, ns);
	if (r == 0 && after_ns && *ns <= after_ns)
		r = time_of_day(since_midnight_ns, after_ns, 1, ns);
	else if (r == 0 && !after_ns && *ns > now_ns)
		r = time_of_day(since_midnight_ns, now_ns, -1, ns);
	return r;
}

static int parse_unix_seconds(const char *text, uint64_t *ns)
{
	char *end;

	if (strspn(text, "0123456789.") != strlen(text) || *text < '0' || *text > '9')
		return -EINVAL;
	const double seconds = strtod(text, &end);
	if (*end || !(seconds > 0 && seconds < UNIX_SECONDS_MAX))
		return -EINVAL;
	*ns = (uint64_t)(seconds * (double)NS_PER_S + 0.5);
	return 0;
}

int when_parse(const char *text, uint64_t now_ns, uint64_t after_ns, uint64_t *realtime_ns)
{
	uint64_t ns;

	if (strcmp(text, "now") == 0) {
		*realtime_ns = now_ns;
		return 0;
	}
	if (*text == '-') {
		if (quantity_parse_duration(text + 1, &ns) < 0 || ns >= now_ns)
			return -EINVAL;
		*realtime_ns = now_ns - ns;
		return 0;
	}
	if (clock_parse(text, &ns) < 0 && parse_unix_seconds(text, &ns) < 0 && parse_date(text, &ns) < 0 &&
	    parse_time_of_day(text, now_ns, after_ns, &ns) < 0)
		return -EINVAL;
	*realtime_ns = ns;
	return 0;
}

int when_parse_around(const char *text, uint64_t now_ns, uint64_t *from_ns, uint64_t *to_ns)
{
	const char *comma = strchr(text, ',');
	char moment[TEXT_MAX + 1];
	uint64_t ns, half_ns;

	if (!comma || (size_t)(comma - text) > TEXT_MAX)
		return -EINVAL;
	snprintf(moment, sizeof(moment), "%.*s", (int)(comma - text), text);
	if (when_parse(moment, now_ns, 0, &ns) < 0 || quantity_parse_duration(comma + 1, &half_ns) < 0 || !half_ns ||
	    half_ns >= ns)
		return -EINVAL;
	*from_ns = ns - half_ns;
	*to_ns = ns + half_ns;
	return 0;
}
