/* SPDX-License-Identifier: BSD-2-Clause */
/* The account: every alert is taken or reported, each input for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "event/event.h"
#include "event/event_bus.h"
#include "job/alert_accounts.h"

#define OWN(text) ((char[]){text})

static struct event_base *loop;
static struct event_bus *bus;
static struct alert_accounts *accounts;
static struct config_input inputs[] = {
	{.format = OWN("eve"), .from = OWN("redis-list"), .name = OWN("alerts")},
	{.format = OWN("eve"), .from = OWN("redis-channel"), .name = OWN("alerts")},
};
static const struct config config = {
	.general.node = OWN("edge7"),
	.limits.alerts_per_second = 10,
	.inputs = inputs,
	.input_count = 2,
};
static struct {
	unsigned reports, lines;
	uint64_t reported;
	char origin[64], reason[16], input[64];
} seen;

static void on_event(void *ctx, const struct event *event, const char *json)
{
	(void)ctx;
	assert_int_equal(event->kind, EVENT_SUPPRESSED);
	assert_non_null(strstr(json, "\"origin\":"));
	seen.reports++;
	seen.reported += event->count;
	snprintf(seen.origin, sizeof(seen.origin), "%s", event->origin);
	snprintf(seen.reason, sizeof(seen.reason), "%s", event->reason);
}

static void on_log(void *ctx, int severity, const char *id, const struct log_field *fields)
{
	(void)ctx;
	(void)severity;
	assert_string_equal(id, "alert-unreadable");
	assert_string_equal(fields[0].key, "input");
	snprintf(seen.input, sizeof(seen.input), "%s", fields[0].string);
	seen.lines++;
}

static int make(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	loop = event_base_new();
	bus = event_bus_new();
	accounts = alert_accounts_new(loop, bus, &config);
	log_divert(on_log, NULL);
	return accounts ? event_bus_subscribe(bus, on_event, NULL) : -1;
}

static int destroy(void **state)
{
	(void)state;
	log_divert(NULL, NULL);
	alert_accounts_free(accounts);
	event_bus_free(bus);
	event_base_free(loop);
	return 0;
}

static struct alert_account *account_of(const struct config_input *input)
{
	struct alert_account *account = alert_accounts_find(accounts, input, ALERT_FORMAT_EVE);

	assert_non_null(account);
	return account;
}

struct search {
	const char *name;
	struct alert_account_status found;
	unsigned count;
};

static void search(void *ctx, const struct alert_account_status *status)
{
	struct search *wanted = ctx;

	wanted->count++;
	if (strcmp(status->name, wanted->name) == 0)
		wanted->found = *status;
}

static struct alert_account_status status_of(const char *name)
{
	struct search wanted = {.name = name};

	alert_accounts_visit(accounts, search, &wanted);
	assert_non_null(wanted.found.name);
	return wanted.found;
}

static void test_a_flood_is_cut_down_and_reported_for_its_input_alone(void **state)
{
	const uint64_t now_ns = clock_boottime_ns();
	unsigned taken = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		taken += alert_account_take(account_of(&inputs[0]), now_ns);
	assert_int_equal(taken, 10);
	assert_true(alert_account_take(account_of(&inputs[1]), now_ns));
	assert_true(alert_account_take(account_of(NULL), now_ns));
	assert_true(alert_account_take(account_of(&inputs[0]), now_ns + NS_PER_S));
	assert_int_equal(status_of("redis-list:alerts").suppressed, 990);
	assert_int_equal(status_of("redis-list:alerts").alerts, 11);
	assert_int_equal(status_of("redis-channel:alerts").alerts, 1);
	assert_int_equal(status_of("redis-channel:alerts").suppressed, 0);
	alert_accounts_report(accounts);
	assert_int_equal(seen.reports, 1);
	assert_int_equal(seen.reported, 990);
	assert_string_equal(seen.origin, "redis-list:alerts");
	assert_string_equal(seen.reason, "alerts");
	alert_accounts_report(accounts);
	assert_int_equal(seen.reports, 1);
}

static void test_what_cannot_be_read_is_counted_and_logged_by_input(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_true(alert_account_take(account_of(&inputs[0]), clock_boottime_ns()));
		alert_account_unreadable(account_of(&inputs[0]), "is not JSON");
	}
	assert_in_range(seen.lines, 1, 2); /* one a second */
	assert_string_equal(seen.input, "redis-list:alerts");
	assert_true(alert_account_take(account_of(&inputs[1]), clock_boottime_ns()));
	alert_account_unreadable(account_of(&inputs[1]), "is not JSON");
	assert_string_equal(seen.input, "redis-channel:alerts"); /* the other one's flood does not hide it */
	assert_int_equal(status_of("redis-list:alerts").unreadable, 5);
	assert_int_equal(status_of("redis-list:alerts").alerts, 0);
}

static void test_formats_of_the_api_are_inputs_once_they_are_used(void **state)
{
	struct search all = {.name = ""};

	(void)state;
	alert_accounts_visit(accounts, search, &all);
	assert_int_equal(all.count, 2);
	assert_true(alert_account_take(account_of(NULL), clock_boottime_ns()));
	alert_account_own(account_of(NULL));
	assert_string_equal(status_of("api:eve").format, "eve");
	assert_int_equal(status_of("api:eve").own, 1);
	assert_true(status_of("api:eve").rate > 0);
}

int main(void)
{
#define IN_FIXTURE(function) cmocka_unit_test_setup_teardown(function, make, destroy)
	static const struct CMUnitTest tests[] = {
		IN_FIXTURE(test_a_flood_is_cut_down_and_reported_for_its_input_alone),
		IN_FIXTURE(test_what_cannot_be_read_is_counted_and_logged_by_input),
		IN_FIXTURE(test_formats_of_the_api_are_inputs_once_they_are_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
