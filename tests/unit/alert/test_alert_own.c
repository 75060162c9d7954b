/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "alert/alert_format.h"
#include "alert/alert_own.h"

static bool is_own(enum alert_format format, const char *text)
{
	struct error err;
	json_t *alerts;

	assert_int_equal(alert_format_read(format, text, strlen(text), &err, &alerts), 0);
	const bool own = alert_is_own(json_array_get(alerts, 0), "pcapdaemon");
	json_decref(alerts);
	return own;
}

static void test_requests_events_and_log_lines_are_our_own(void **state)
{
	static const struct {
		enum alert_format format;
		const char *text;
	} samples[] = {
		{ALERT_FORMAT_JSON, "{\"node\":\"edge7\",\"id\":\"x\",\"interface\":[\"any\"],\"duration\":1}"},
		{ALERT_FORMAT_EVE, "{\"node\":\"edge7\",\"id\":\"x\",\"alias\":[\"mgmt\"],\"sig\":\"k:1:n:0\"}"},
		{ALERT_FORMAT_JSON, "{\"stop\":true,\"node\":\"edge7\",\"dedupe\":\"f1\",\"id\":\"x\"}"},
		{ALERT_FORMAT_JSON, "{\"v\":1,\"event\":\"done\",\"node\":\"edge7\",\"rule\":\"ids\"}"},
		{ALERT_FORMAT_SYSLOG, "<85>1 2026-12-01T10:00:00Z edge7 pcapdaemon 7 - - event-done rule=ids"},
		{ALERT_FORMAT_SYSLOG, "<85>Dec  1 10:00:00 edge7 pcapdaemon[7]: event-done rule=ids"},
		{ALERT_FORMAT_SYSLOG, "<13>1 - edge7 bus - - - {\"v\":1,\"event\":\"accepted\",\"node\":\"edge7\"}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		assert_true(is_own(samples[i].format, samples[i].text));
}

static void test_alerts_of_others_are_not(void **state)
{
	(void)state;
	assert_false(is_own(ALERT_FORMAT_JSON, "{\"node\":\"edge7\",\"id\":\"x\",\"interface\":\"eth0\"}"));
	assert_false(is_own(ALERT_FORMAT_JSON, "{\"event\":\"done\",\"node\":\"edge7\"}"));
	assert_false(is_own(ALERT_FORMAT_JSON, "{\"app\":\"pcapdaemon\"}"));
	assert_false(is_own(ALERT_FORMAT_SYSLOG, "<34>1 - edge7 sshd - - - pcapdaemon"));
	assert_false(is_own(ALERT_FORMAT_EVE, "{\"event_type\":\"alert\",\"in_iface\":\"eth0\"}"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_events_and_log_lines_are_our_own),
		cmocka_unit_test(test_alerts_of_others_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
