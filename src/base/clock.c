/* SPDX-License-Identifier: BSD-2-Clause */
/* Clocks and RFC 3339. A uint64_t of nanoseconds reaches from 1970 to 2554, so years always have four digits. */
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_realtime_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

uint64_t clock_boottime_ns(void)
{
	return now_ns(CLOCK_BOOTTIME);
}

uint64_t clock_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_offset_ns(void)
{
	uint64_t before_ns, realtime_ns, after_ns;
	unsigned tries = 8;

	do {
		before_ns = clock_boottime_ns();
		realtime_ns = clock_realtime_ns();
		after_ns = clock_boottime_ns();
	} while (after_ns - before_ns > 20000 && --tries);
	return (int64_t)(realtime_ns - before_ns - (after_ns - before_ns) / 2);
}

static struct tm utc(uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / NS_PER_S);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	return tm;
}

const char *clock_format(uint64_t realtime_ns, char text[static CLOCK_TEXT_SIZE])
{
	struct tm tm = utc(realtime_ns);
	size_t size = strftime(text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(text + size, CLOCK_TEXT_SIZE - size, ".%09uZ", (unsigned)(realtime_ns % NS_PER_S));
	return text;
}

const char *clock_format_compact(uint64_t realtime_ns, char text[static CLOCK_TEXT_SIZE])
{
	struct tm tm = utc(realtime_ns);
	size_t size = strftime(text, CLOCK_TEXT_SIZE, "%Y%m%dT%H%M%S", &tm);

	snprintf(text + size, CLOCK_TEXT_SIZE - size, ".%03uZ", (unsigned)(realtime_ns % NS_PER_S / NS_PER_MS));
	return text;
}

/* Exactly `digits` digits, the value within [least, most]; advances `*at`. */
static bool read_number(const char **at, int digits, int least, int most, int *number)
{
	int value = 0;

	for (; digits > 0; digits--, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		value = value * 10 + (**at - '0');
	}
	*number = value;
	return value >= least && value <= most;
}

static bool read_char(const char **at, const char *either)
{
	if (**at != either[0] && **at != either[1])
		return false;
	(*at)++;
	return true;
}

static bool read_date(const char **at, struct tm *tm)
{
	if (!read_number(at, 4, 1969, 2555, &tm->tm_year) || !read_char(at, "--") ||
	    !read_number(at, 2, 1, 12, &tm->tm_mon) || !read_char(at, "--") || !read_number(at, 2, 1, 31, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return true;
}

static bool read_time(const char **at, struct tm *tm, uint32_t *fraction_ns)
{
	if (!read_number(at, 2, 0, 23, &tm->tm_hour) || !read_char(at, "::") ||
	    !read_number(at, 2, 0, 59, &tm->tm_min) || !read_char(at, "::") || !read_number(at, 2, 0, 60, &tm->tm_sec))
		return false;

	*fraction_ns = 0;
	if (**at != '.')
		return true;

	uint32_t unit = NS_PER_S / 10;
	for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, unit /= 10) {
		if (unit == 0)
			return false;
		*fraction_ns += (uint32_t)(**at - '0') * unit;
	}
	return unit != NS_PER_S / 10;
}

static bool read_offset(const char **at, int *seconds)
{
	int hours, minutes;

	*seconds = 0;
	if (read_char(at, "Zz"))
		return true;

	int sign = **at == '-' ? -1 : 1;
	if (!read_char(at, "+-") || !read_number(at, 2, 0, 23, &hours) || !read_char(at, "::") ||
	    !read_number(at, 2, 0, 59, &minutes))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

int clock_parse(const char *text, uint64_t *realtime_ns)
{
	struct tm tm = {0};
	uint32_t fraction_ns;
	int offset;
	uint64_t ns;

	if (!read_date(&text, &tm) || !read_char(&text, "Tt") || !read_time(&text, &tm, &fraction_ns) ||
	    !read_offset(&text, &offset) || *text != '\0')
		return -EINVAL;

	/* timegm() silently turns 31 April into 1 May. */
	struct tm day = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday};
	time_t seconds = timegm(&day);
	if (day.tm_mday != tm.tm_mday)
		return -EINVAL;

	seconds += tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec - offset;
	if (seconds < 0)
		return -EINVAL;
	/* A leap second exists at the end of a UTC day only; like the kernel, count it as the second that follows. */
	if (tm.tm_sec == 60 && seconds % S_PER_DAY != 0)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)seconds, NS_PER_S, &ns) || __builtin_add_overflow(ns, fraction_ns, &ns))
		return -EINVAL;
	*realtime_ns = ns;
	return 0;
}
