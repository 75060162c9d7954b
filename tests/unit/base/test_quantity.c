/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/quantity.h"

struct sample {
	const char *text;
	int r;
	uint64_t value; /* 7 where refused: untouched */
};

static void check(int (*parse)(const char *, uint64_t *), const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 7;
		int r = parse(samples[i].text, &value);

		if (r != samples[i].r || value != samples[i].value)
			fail_msg("\"%s\": %d %llu", samples[i].text, r, (unsigned long long)value);
	}
}

static void test_sizes_are_parsed_exactly(void **state)
{
	static const struct sample samples[] = {
		{"0", 0, 0},
		{"123", 0, 123},
		{"123B", 0, 123},
		{"007", 0, 7},
		{"64KiB", 0, 65536},
		{"64MiB", 0, 67108864},
		{"2GiB", 0, UINT64_C(2147483648)},
		{"10kB", 0, 10000},
		{"10KB", 0, 10000},
		{"10MB", 0, 10000000},
		{"1GB", 0, 1000000000},
		{"1TiB", 0, UINT64_C(1099511627776)},
		{"1.5KiB", 0, 1536},
		{"0.1MB", 0, 100000},
		{"0.1KiB", 0, 102},
		{"64K", 0, 65536},
		{"64M", 0, 67108864},
		{"1.5G", 0, 1610612736},
		{"1T", 0, UINT64_C(1099511627776)},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551615.0kB", -ERANGE, 7},
		{"18446744073709551616", -ERANGE, 7},
		{"99999999999999999999999999999999999", -ERANGE, 7},
		{"16777216TiB", -ERANGE, 7},
		{"16777215.999TiB", 0, UINT64_C(18446742974197923840) + UINT64_C(1098412116148)},
		{"", -EINVAL, 7},
		{"B", -EINVAL, 7},
		{"-1", -EINVAL, 7},
		{"+1", -EINVAL, 7},
		{" 1", -EINVAL, 7},
		{"1 ", -EINVAL, 7},
		{"1 kB", -EINVAL, 7},
		{"1.5", -EINVAL, 7},
		{"1.5B", -EINVAL, 7},
		{".5kB", -EINVAL, 7},
		{"1.kB", -EINVAL, 7},
		{"1..5kB", -EINVAL, 7},
		{"1e3", -EINVAL, 7},
		{"0x10", -EINVAL, 7},
		{"1,5kB", -EINVAL, 7},
		{"1mB", -EINVAL, 7},
		{"1k", -EINVAL, 7},
		{"1kBs", -EINVAL, 7},
		{"99999999999999999999999999999999999junk", -EINVAL, 7},
		{"0.0000000000000000001kB", -EINVAL, 7},
		{"nan", -EINVAL, 7},
		{"inf", -EINVAL, 7},
	};

	(void)state;
	check(quantity_parse_bytes, samples, sizeof(samples) / sizeof(*samples));
}

static void test_durations_are_parsed_exactly(void **state)
{
	static const struct sample samples[] = {
		{"0", 0, 0},
		{"60", 0, UINT64_C(60000000000)},
		{"1.5", 0, 1500000000},
		{"1.5s", 0, 1500000000},
		{"0.1s", 0, 100000000},
		{"200ms", 0, 200000000},
		{"10us", 0, 10000},
		{"0.0015us", 0, 1},
		{"100ns", 0, 100},
		{"2m", 0, UINT64_C(120000000000)},
		{"1h", 0, UINT64_C(3600000000000)},
		{"7d", 0, UINT64_C(604800000000000)},
		{"0.000000001s", 0, 1},
		{"18446744073.709551615s", 0, UINT64_MAX},
		{"18446744073.709551616s", -ERANGE, 7},
		{"213504d", -ERANGE, 7},
		{"", -EINVAL, 7},
		{"s", -EINVAL, 7},
		{"-1s", -EINVAL, 7},
		{"1 s", -EINVAL, 7},
		{"1.5ns", -EINVAL, 7},
		{"1S", -EINVAL, 7},
		{"1min", -EINVAL, 7},
		{"1m30s", -EINVAL, 7},
		{"1e9", -EINVAL, 7},
	};

	(void)state;
	check(quantity_parse_duration, samples, sizeof(samples) / sizeof(*samples));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_are_parsed_exactly),
		cmocka_unit_test(test_durations_are_parsed_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
