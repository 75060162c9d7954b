/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenMetrics text, byte for byte. The reference parser checks the whole exposition in tests/system/test_api_node.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "api/openmetrics.h"

static const struct metric_family counter = {"a_bytes", METRIC_COUNTER, "bytes", "What a has."};
static const struct metric_label no_labels[] = {{NULL, NULL}};

static void assert_sample(const struct metric_label *labels, double value, const char *text)
{
	struct buffer out = BUFFER_INIT(1024);

	assert_int_equal(metric_sample(&(struct metric_writer){.out = &out}, &counter, labels, value), 0);
	assert_string_equal(buffer_text(&out), text);
	buffer_deinit(&out);
}

static void test_headers_name_type_unit_and_help(void **state)
{
	const struct metric_family gauge = {"b", METRIC_GAUGE, NULL, "B."};
	struct buffer out = BUFFER_INIT(1024);

	(void)state;
	assert_int_equal(metric_header(&(struct metric_writer){.out = &out}, &counter), 0);
	assert_int_equal(metric_header(&(struct metric_writer){.out = &out}, &gauge), 0);
	assert_int_equal(metric_end(&(struct metric_writer){.out = &out}), 0);
	assert_string_equal(buffer_text(&out),
			    "# TYPE a_bytes counter\n# UNIT a_bytes bytes\n# HELP a_bytes What a has.\n"
			    "# TYPE b gauge\n# HELP b B.\n# EOF\n");
	buffer_deinit(&out);
}

static void test_samples_have_the_suffix_of_their_type(void **state)
{
	const struct metric_family gauge = {"b", METRIC_GAUGE, NULL, "B."}, info = {"c", METRIC_INFO, NULL, "C."};
	struct buffer out = BUFFER_INIT(1024);

	(void)state;
	assert_int_equal(metric_sample(&(struct metric_writer){.out = &out}, &counter, no_labels, 1), 0);
	assert_int_equal(metric_sample(&(struct metric_writer){.out = &out}, &gauge, no_labels, 1), 0);
	assert_int_equal(metric_sample(&(struct metric_writer){.out = &out}, &info, no_labels, 1), 0);
	assert_string_equal(buffer_text(&out), "a_bytes_total 1\nb 1\nc_info 1\n");
	buffer_deinit(&out);
}

/* Debian's promtool checks the whole of it in tests/system/test_metrics.py. */
static void test_older_format_names_the_samples_and_has_no_info_unit_or_end(void **state)
{
	const struct metric_family info = {"c", METRIC_INFO, NULL, "C."};
	struct buffer out = BUFFER_INIT(1024);
	struct metric_writer writer = {.out = &out, .format = METRICS_TEXT_004};

	(void)state;
	assert_int_equal(metric_header(&writer, &counter), 0);
	assert_int_equal(metric_sample(&writer, &counter, no_labels, 1), 0);
	assert_int_equal(metric_header(&writer, &info), 0);
	assert_int_equal(metric_end(&writer), 0);
	assert_string_equal(buffer_text(&out), "# TYPE a_bytes_total counter\n# HELP a_bytes_total What a has.\n"
					       "a_bytes_total 1\n# TYPE c_info gauge\n# HELP c_info C.\n");
	buffer_deinit(&out);
}

static void test_labels_are_escaped(void **state)
{
	const struct metric_label labels[] = {{"x", "a\"b\\c\nd"}, {"y", "n\xc3\xa4\xff"}, {NULL, NULL}};

	(void)state;
	assert_sample(labels, 0, "a_bytes_total{x=\"a\\\"b\\\\c\\nd\",y=\"n\xc3\xa4\xef\xbf\xbd\"} 0\n");
}

static void test_integers_are_exact_and_fractions_short(void **state)
{
	(void)state;
	assert_sample(no_labels, 9007199254740991.0, "a_bytes_total 9007199254740991\n");
	assert_sample(no_labels, 0.1, "a_bytes_total 0.1\n");
	assert_sample(no_labels, 12345.678, "a_bytes_total 12345.678\n");
	assert_sample(no_labels, 1e18, "a_bytes_total 1e+18\n");
}

static void test_full_buffer_is_an_error(void **state)
{
	struct buffer out = BUFFER_INIT(20);

	(void)state;
	assert_int_equal(metric_header(&(struct metric_writer){.out = &out}, &counter), -EMSGSIZE);
	assert_int_equal(metric_sample(&(struct metric_writer){.out = &out}, &counter, no_labels, 1), 0);
	assert_int_equal(metric_end(&(struct metric_writer){.out = &out}), -EMSGSIZE);
	buffer_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers_name_type_unit_and_help),
		cmocka_unit_test(test_samples_have_the_suffix_of_their_type),
		cmocka_unit_test(test_older_format_names_the_samples_and_has_no_info_unit_or_end),
		cmocka_unit_test(test_labels_are_escaped),
		cmocka_unit_test(test_integers_are_exact_and_fractions_short),
		cmocka_unit_test(test_full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
