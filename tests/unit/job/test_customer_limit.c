/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits of one customer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "config/config.h"
#include "job/customer_limit.h"

#define S NS_PER_S
#define START (1000 * S) /* boot time */

static const char acme[] = "ACME", other[] = "Other";

static struct customer_limit *limit_with(struct config *config)
{
	*config = (struct config){0};
	struct customer_limit *limit = customer_limit_new(config);
	assert_non_null(limit);
	return limit;
}

static void test_customer_captures_are_capped(void **state)
{
	struct config config;
	cleanup(cleanup_customer_limit) struct customer_limit *limit = limit_with(&config);
	struct error error;

	(void)state;
	config.limits.customer_captures = 3;
	assert_int_equal(customer_limit_admit(limit, acme, 1, 2, START, &error), 0);
	assert_int_equal(customer_limit_admit(limit, acme, 2, 2, START, &error), -EDQUOT);
	assert_string_equal(error.text, "2 captures of this customer are running already; the limit is 3 "
					"(limits.customer_captures)");
	assert_int_equal(customer_limit_admit(limit, NULL, 100, 2, START, &error), 0);
}

static void test_customer_request_rate_is_capped(void **state)
{
	struct config config;
	cleanup(cleanup_customer_limit) struct customer_limit *limit = limit_with(&config);
	struct error error;

	(void)state;
	config.limits.customer_requests_per_second = 2;
	assert_int_equal(customer_limit_admit(limit, acme, 0, 1, START, &error), 0);
	assert_int_equal(customer_limit_admit(limit, acme, 0, 1, START, &error), 0);
	assert_int_equal(customer_limit_admit(limit, acme, 0, 1, START, &error), -EDQUOT);
	assert_string_equal(error.text, "too many requests from this customer (limits.customer_requests_per_second)");
	assert_int_equal(customer_limit_admit(limit, other, 0, 1, START, &error), 0);
	assert_int_equal(customer_limit_admit(limit, acme, 0, 1, START + S / 2, &error), 0);
	assert_int_equal(customer_limit_admit(limit, acme, 0, 1, START + S / 2, &error), -EDQUOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_customer_captures_are_capped),
		cmocka_unit_test(test_customer_request_rate_is_capped),
	};

	return cmocka_run_group_tests_name("customer_limit", tests, NULL, NULL);
}
