/* SPDX-License-Identifier: BSD-2-Clause */
/* Accept as real scrapers, browsers and malformed clients send it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http_accept.h"

static void expect(const char *accept, const char *type, unsigned quality)
{
	struct http_preference preference = {0};

	http_accept_read(&preference, accept, type);
	if (preference.quality != quality)
		fail_msg("%s in \"%s\": %u", type, accept, preference.quality);
}

static void test_closest_range_counts(void **state)
{
	(void)state;
	expect("text/plain", "text/plain", 1000);
	expect("TEXT/Plain", "text/plain", 1000);
	expect("text/plain", "text/html", 0);
	expect("text/plain;q=0.1, text/*;q=0.5, */*", "text/plain", 100);
	expect("*/*, text/*;q=0.5,text/plain;q=0.1", "text/plain", 100);
	expect("text/plain;q=0.1, text/*;q=0.5, */*", "text/html", 500);
	expect("text/plain;q=0.1, text/*;q=0.5, */*", "image/png", 1000);
	expect("*/*;q=0.1,text/plain;q=0", "text/plain", 0);
	expect("text", "text/plain", 0);
	expect("text/plainer", "text/plain", 0);
	expect("", "text/plain", 0);
}

static void test_most_wanted_of_equally_close_ranges_counts(void **state)
{
	static const char prometheus[] = "application/openmetrics-text;version=1.0.0;q=0.8,"
					 "application/openmetrics-text;version=0.0.1;q=0.75,"
					 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

	(void)state;
	expect(prometheus, "application/openmetrics-text", 800);
	expect(prometheus, "text/plain", 500);
	expect(prometheus, "application/json", 100);
}

static void test_quality_has_at_most_three_digits(void **state)
{
	(void)state;
	expect("a/b;q=1", "a/b", 1000);
	expect("a/b;q=1.", "a/b", 1000);
	expect("a/b;q=1.000", "a/b", 1000);
	expect("a/b ; Q=0.123", "a/b", 123);
	expect("a/b;q=0", "a/b", 0);
	expect("a/b;q=0.1234", "a/b", 0);
	expect("a/b;q=1.1", "a/b", 0);
	expect("a/b;q=", "a/b", 0);
	expect("a/b;q=-1", "a/b", 0);
	expect("a/b;q=x, a/b;q=0.2", "a/b", 200);
}

static void test_separators_in_quotes_are_text(void **state)
{
	(void)state;
	expect("a/b;x=\", c/d;q=0.5\";q=0.3", "a/b", 300);
	expect("a/b;x=\", c/d;q=0.5\";q=0.3", "c/d", 0);
	expect("a/b;x=\"\\\"\";q=0.3,c/d", "c/d", 1000);
	expect(",,;,a/b,", "a/b", 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closest_range_counts),
		cmocka_unit_test(test_most_wanted_of_equally_close_ranges_counts),
		cmocka_unit_test(test_quality_has_at_most_three_digits),
		cmocka_unit_test(test_separators_in_quotes_are_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
