/* Storms: what counts as the same event, for how long, and what one customer may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "job/storm.h"

#define S NS_PER_S
#define START (1000 * S) /* boot time */

static char eth0[] = "eth0", eth1[] = "eth1", acme[] = "ACME", other[] = "Other", alert[] = "655443", key[] = "k",
	    tcp[] = "tcp";
static struct request_interface one[] = {{.name = eth0}}, another[] = {{.name = eth1}};

static struct request make(const char *id)
{
	struct request request = {.interfaces = one, .interface_count = 1, .alertid = alert, .snap = 65535};
	snprintf(request.id, sizeof(request.id), "%s", id);
	return request;
}

static struct storm *storm_with(struct config *config, uint64_t cooldown_ns)
{
	*config = (struct config){.limits = {.cooldown_ns = cooldown_ns}};
	struct storm *storm = storm_new(config);
	assert_non_null(storm);
	return storm;
}

static void the_same_alert_is_found_within_its_cooldown(void **state)
{
	struct config config;
	cleanup(cleanup_storm) struct storm *storm = storm_with(&config, 10 * S);
	const struct request first = make("a"), again = make("b");
	(void)state;
	assert_null(storm_find(storm, &first, START));
	storm_note(storm, &first, START);
	assert_string_equal(storm_find(storm, &again, START + 10 * S - 1), "a");
	assert_null(storm_find(storm, &again, START + 10 * S));
	storm_renew(storm, &again, START + 9 * S);
	assert_string_equal(storm_find(storm, &again, START + 18 * S), "a");
}

static void without_a_cooldown_nothing_is_folded(void **state)
{
	struct config config;
	cleanup(cleanup_storm) struct storm *storm = storm_with(&config, 0);
	const struct request request = make("a");
	(void)state;
	storm_note(storm, &request, START);
	assert_null(storm_find(storm, &request, START));
}

static void requests_without_an_alertid_are_all_different(void **state)
{
	struct config config;
	cleanup(cleanup_storm) struct storm *storm = storm_with(&config, 10 * S);
	struct request request = make("a");
	(void)state;
	request.alertid = NULL;
	storm_note(storm, &request, START);
	assert_null(storm_find(storm, &request, START));
}

static void a_dedupe_key_wins_over_the_alertid(void **state)
{
	struct config config;
	cleanup(cleanup_storm) struct storm *storm = storm_with(&config, 10 * S);
	struct request first = make("a"), second = make("b");
	(void)state;
	first.dedupe = second.dedupe = key;
	second.alertid = acme;
	storm_note(storm, &first, START);
	assert_string_equal(storm_find(storm, &second, START), "a");
	second.dedupe = NULL;
	second.alertid = first.alertid;
	assert_null(storm_find(storm, &second, START));
}

/* What other packets, or the same to another place, are wanted for is no repetition. */
static void whoever_wants_something_else_is_not_folded(void **state)
{
	struct config config;
	cleanup(cleanup_storm) struct storm *storm = storm_with(&config, 10 * S);
	const struct request first = make("a");
	char *destinations[] = {key};
	struct request different[8];
	(void)state;
	for (size_t i = 0; i < 8; i++)
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
	storm_note(storm, &first, START);
	for (size_t i = 0; i < 8; i++)
		assert_null(storm_find(storm, &different[i], START));
}

static void the_oldest_events_are_forgotten_first(void **state)
{
	struct config config;
	cleanup(cleanup_storm) struct storm *storm = storm_with(&config, 1000 * S);
	char text[16];
	struct request request = make("a");
	(void)state;
	request.alertid = text;
	for (unsigned i = 0; i <= STORM_KEYS_MAX; i++) {
		snprintf(text, sizeof(text), "%u", i);
		storm_note(storm, &request, START);
	}
	snprintf(text, sizeof(text), "%u", 0);
	assert_null(storm_find(storm, &request, START));
	snprintf(text, sizeof(text), "%u", 1);
	assert_non_null(storm_find(storm, &request, START));
}

static void a_customer_has_so_many_captures_at_once(void **state)
{
	struct config config;
	cleanup(cleanup_storm) struct storm *storm = storm_with(&config, 0);
	struct error error;
	(void)state;
	config.limits.customer_captures = 3;
	assert_int_equal(storm_admit_customer(storm, acme, 1, 2, START, &error), 0);
	assert_int_equal(storm_admit_customer(storm, acme, 2, 2, START, &error), -EDQUOT);
	assert_string_equal(error.text, "2 captures of this customer are running already, at most 3 may "
					"(limits.customer_captures)");
	assert_int_equal(storm_admit_customer(storm, NULL, 100, 2, START, &error), 0);
}

static void a_customer_has_so_many_requests_a_second(void **state)
{
	struct config config;
	cleanup(cleanup_storm) struct storm *storm = storm_with(&config, 0);
	struct error error;
	(void)state;
	config.limits.customer_requests_per_second = 2;
	assert_int_equal(storm_admit_customer(storm, acme, 0, 1, START, &error), 0);
	assert_int_equal(storm_admit_customer(storm, acme, 0, 1, START, &error), 0);
	assert_int_equal(storm_admit_customer(storm, acme, 0, 1, START, &error), -EDQUOT);
	assert_string_equal(error.text, "too many requests of this customer (limits.customer_requests_per_second)");
	assert_int_equal(storm_admit_customer(storm, other, 0, 1, START, &error), 0);
	assert_int_equal(storm_admit_customer(storm, acme, 0, 1, START + S / 2, &error), 0);
	assert_int_equal(storm_admit_customer(storm, acme, 0, 1, START + S / 2, &error), -EDQUOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_alert_is_found_within_its_cooldown),
		cmocka_unit_test(without_a_cooldown_nothing_is_folded),
		cmocka_unit_test(requests_without_an_alertid_are_all_different),
		cmocka_unit_test(a_dedupe_key_wins_over_the_alertid),
		cmocka_unit_test(whoever_wants_something_else_is_not_folded),
		cmocka_unit_test(the_oldest_events_are_forgotten_first),
		cmocka_unit_test(a_customer_has_so_many_captures_at_once),
		cmocka_unit_test(a_customer_has_so_many_requests_a_second),
	};
	return cmocka_run_group_tests_name("storm", tests, NULL, NULL);
}
