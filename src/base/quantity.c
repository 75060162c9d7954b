/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * <digits>[.<digits>]<unit>, in integer arithmetic: 1.5 is 15 tenths of the unit. Fractions of a byte or nanosecond are
 * truncated. Fractions have up to FRACTION_DIGITS digits.
 */
#include "base/quantity.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/int128.h"

#define FRACTION_DIGITS 18

struct unit {
	const char *name;
	uint64_t factor;
	bool fraction; /* allowed after a fraction */
};

#define KIB UINT64_C(1024)

static const struct unit byte_units[] = {
	{"", 1, false},
	{"B", 1, false},
	{"kB", 1000, true},
	{"KB", 1000, true},
	{"MB", 1000000, true},
	{"GB", 1000000000, true},
	{"TB", 1000000000000, true},
	{"K", KIB, true},
	{"M", KIB *KIB, true},
	{"G", KIB *KIB *KIB, true},
	{"T", KIB *KIB *KIB *KIB, true},
	{"KiB", KIB, true},
	{"MiB", KIB *KIB, true},
	{"GiB", KIB *KIB *KIB, true},
	{"TiB", KIB *KIB *KIB *KIB, true},
	{0},
};

static const struct unit duration_units[] = {
	{"", NS_PER_S, true},
	{"ns", 1, false},
	{"us", 1000, true},
	{"ms", NS_PER_MS, true},
	{"s", NS_PER_S, true},
	{"m", 60 * NS_PER_S, true},
	{"h", 3600 * NS_PER_S, true},
	{"d", (S_PER_DAY * NS_PER_S), true},
	{0},
};

struct number {
	uint64_t whole;
	uint64_t fraction;    /* numerator */
	uint64_t denominator; /* 10^digits; 1: no fraction */
	bool overflow;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Returns the start of the unit, or NULL. */
static const char *read_number(const char *text, struct number *number)
{
	*number = (struct number){.denominator = 1};
	if (!is_digit(*text))
		return NULL;
	for (; is_digit(*text); text++) {
		number->overflow |= __builtin_mul_overflow(number->whole, 10, &number->whole);
		number->overflow |= __builtin_add_overflow(number->whole, (uint64_t)(*text - '0'), &number->whole);
	}
	if (*text != '.')
		return text;

	const char *digits = ++text;
	for (; is_digit(*text); text++) {
		if (text - digits == FRACTION_DIGITS)
			return NULL;
		number->fraction = number->fraction * 10 + (uint64_t)(*text - '0');
		number->denominator *= 10;
	}
	return text == digits ? NULL : text;
}

static int parse(const char *text, const struct unit *units, uint64_t *result)
{
	struct number number;
	const char *name = read_number(text, &number);

	if (!name)
		return -EINVAL;
	while (units->name && strcmp(units->name, name) != 0)
		units++;
	if (!units->name || (number.denominator > 1 && !units->fraction))
		return -EINVAL;

	uint128 value = (uint128)number.fraction * units->factor / number.denominator;
	value += (uint128)number.whole * units->factor;
	if (number.overflow || value > UINT64_MAX)
		return -ERANGE;
	*result = (uint64_t)value;
	return 0;
}

int quantity_parse_bytes(const char *text, uint64_t *bytes)
{
	return parse(text, byte_units, bytes);
}

int quantity_parse_duration(const char *text, uint64_t *ns)
{
	return parse(text, duration_units, ns);
}
