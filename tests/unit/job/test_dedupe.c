/* SPDX-License-Identifier: BSD-2-Clause */
/* Which requests are repetitions, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "job/dedupe.h"

#define S NS_PER_S
#define START (1000 * S) /* boot time */

static char eth0[] = "eth0", eth1[] = "eth1", acme[] = "ACME", alert[] = "655443", key[] = "k", tcp[] = "tcp";
static struct request_interface one[] = {{.name = eth0}}, another[] = {{.name = eth1}};

static struct request make(const char *id)
{
	struct request request = {.interfaces = one, .interface_count = 1, .alertid = alert, .snap = 65535};

	snprintf(request.id, sizeof(request.id), "%s", id);
	return request;
}

static struct dedupe *dedupe_with(struct config *config, uint64_t cooldown_ns)
{
	*config = (struct config){.limits = {.cooldown_ns = cooldown_ns}};
	struct dedupe *dedupe = dedupe_new(config);
	assert_non_null(dedupe);
	return dedupe;
}

static void test_same_alert_is_found_within_its_cooldown(void **state)
{
	struct config config;
	cleanup(cleanup_dedupe) struct dedupe *dedupe = dedupe_with(&config, 10 * S);
	const struct request first = make("a"), again = make("b");

	(void)state;
	assert_null(dedupe_find(dedupe, &first, START));
	dedupe_remember(dedupe, &first, START);
	assert_string_equal(dedupe_find(dedupe, &again, START + 10 * S - 1), "a");
	assert_null(dedupe_find(dedupe, &again, START + 10 * S));
}

static void test_renewing_an_alert_restarts_its_cooldown(void **state)
{
	struct config config;
	cleanup(cleanup_dedupe) struct dedupe *dedupe = dedupe_with(&config, 10 * S);
	const struct request first = make("a"), again = make("b");

	(void)state;
	dedupe_remember(dedupe, &first, START);
	dedupe_renew(dedupe, &again, START + 9 * S);
	assert_string_equal(dedupe_find(dedupe, &again, START + 18 * S), "a");
	assert_null(dedupe_find(dedupe, &again, START + 19 * S));
}

static void test_without_a_cooldown_nothing_is_folded(void **state)
{
	struct config config;
	cleanup(cleanup_dedupe) struct dedupe *dedupe = dedupe_with(&config, 0);
	const struct request request = make("a");

	(void)state;
	dedupe_remember(dedupe, &request, START);
	assert_null(dedupe_find(dedupe, &request, START));
}

static void test_requests_without_an_alertid_are_all_different(void **state)
{
	struct config config;
	cleanup(cleanup_dedupe) struct dedupe *dedupe = dedupe_with(&config, 10 * S);
	struct request request = make("a");

	(void)state;
	request.alertid = NULL;
	dedupe_remember(dedupe, &request, START);
	assert_null(dedupe_find(dedupe, &request, START));
}

static void test_dedupe_key_overrides_the_alertid(void **state)
{
	struct config config;
	cleanup(cleanup_dedupe) struct dedupe *dedupe = dedupe_with(&config, 10 * S);
	struct request first = make("a"), second = make("b");

	(void)state;
	first.dedupe = second.dedupe = key;
	second.alertid = acme;
	dedupe_remember(dedupe, &first, START);
	assert_string_equal(dedupe_find(dedupe, &second, START), "a");
	second.dedupe = NULL;
	second.alertid = first.alertid;
	assert_null(dedupe_find(dedupe, &second, START));
}

/* A request for other packets, or for another destination, is no repetition. */
static void test_different_requests_are_not_folded(void **state)
{
	struct config config;
	cleanup(cleanup_dedupe) struct dedupe *dedupe = dedupe_with(&config, 10 * S);
	const struct request first = make("a");
	char *destinations[] = {key};
	static char section[] = "requests";
	const struct config_requests rules = {.section = section};
	const struct config_key signer = {.name = acme};
	struct request different[14];

	(void)state;
	for (size_t i = 0; i < 14; i++)
		different[i] = make("b");
	different[0].interfaces = another;
	different[1].bpf = tcp;
	different[2].snap = 64;
	different[3].customer = acme;
	different[4].before_ns = S;
	different[5].packets = 3;
	different[6].merge = true;
	different[7].destinations = destinations;
	different[7].destination_count = 1;
	different[8].inner = tcp;
	different[9].drop_duplicates = true;
	different[10].follow = true;
	different[11].required = tcp;
	different[12].allowed = &rules;
	different[13].allowed = &rules;
	different[13].key = &signer; /* which may have an allow-list of its own */
	dedupe_remember(dedupe, &first, START);
	for (size_t i = 0; i < 14; i++)
		assert_null(dedupe_find(dedupe, &different[i], START));
	dedupe_remember(dedupe, &different[12], START);
	assert_null(dedupe_find(dedupe, &different[13], START));
}

static void test_oldest_alerts_are_forgotten_first(void **state)
{
	struct config config;
	cleanup(cleanup_dedupe) struct dedupe *dedupe = dedupe_with(&config, 1000 * S);
	char text[16];
	struct request request = make("a");

	(void)state;
	request.alertid = text;
	for (unsigned i = 0; i <= DEDUPE_ALERTS_MAX; i++) {
		snprintf(text, sizeof(text), "%u", i);
		dedupe_remember(dedupe, &request, START);
	}
	snprintf(text, sizeof(text), "%u", 0);
	assert_null(dedupe_find(dedupe, &request, START));
	snprintf(text, sizeof(text), "%u", 1);
	assert_non_null(dedupe_find(dedupe, &request, START));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_alert_is_found_within_its_cooldown),
		cmocka_unit_test(test_renewing_an_alert_restarts_its_cooldown),
		cmocka_unit_test(test_without_a_cooldown_nothing_is_folded),
		cmocka_unit_test(test_requests_without_an_alertid_are_all_different),
		cmocka_unit_test(test_dedupe_key_overrides_the_alertid),
		cmocka_unit_test(test_different_requests_are_not_folded),
		cmocka_unit_test(test_oldest_alerts_are_forgotten_first),
	};

	return cmocka_run_group_tests_name("dedupe", tests, NULL, NULL);
}
