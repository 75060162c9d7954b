/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules as they are written, the requests that they make, and the faults that they can have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "alert/alert_rules.h"
#include "alerts.h"

#define NOW_NS UINT64_C(1796112000000000000) /* 2026-12-01T08:00:00Z */

static bool has_interface(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "eth0") == 0;
}

static const char *find_node(void *ctx, const char *host)
{
	(void)ctx;
	return strcmp(host, "10.9.9.9") == 0 ? "edge1.example" : NULL;
}

static const struct alert_context here = {
	.node = "edge1.example",
	.find_node = find_node,
	.has_interface = has_interface,
	.format = "eve",
	.input = "ids",
	.arrived_ns = NOW_NS,
};

/* The verdict of the text's first rule; `expected`: the request as JSON, or the reason. */
static void check(const char *text, const char *alert, enum alert_verdict verdict, const char *expected)
{
	cleanup(alert_rules_clear) struct alert_rules rules = {0};
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(65536);
	cleanup(cleanup_json) json_t *json = parsed(alert), *request = NULL;
	struct error why = {0};

	if (alert_rules_read(&rules, "test.toml", text, strlen(text), &faults) < 0)
		fail_msg("%s", buffer_text(&faults));
	const enum alert_verdict got = alert_rule_apply(rules.items[0], json, &here, &request, &why);
	cleanup(cleanup_free) char *dump = request ? json_dumps(request, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
	const char *result = dump ? dump : why.text;
	if (got != verdict || strcmp(result, expected) != 0)
		fail_msg("%s\n%s\n  gives     %d, %s\n  should be %d, %s", text, alert, got, result, verdict, expected);
}

#define EVE                                                                                                            \
	"{\"event_type\":\"alert\",\"host\":\"edge1\",\"in_iface\":\"eth0\",\"src_ip\":\"10.0.0.1\",\"dest_ip\":\"10." \
	"0.0.2\","                                                                                                     \
	"\"src_port\":40000,\"dest_port\":22,\"proto\":\"TCP\",\"flow_id\":77,\"flow\":{\"start\":"                    \
	"\"2026-12-01T07:59:00.5+0000\"},\"alert\":{\"severity\":1,\"signature\":\"ET SCAN\"}}"

#define IDS                                                                                                           \
	"[[rule]]\nname = \"ids\"\ninput = \"eve\"\nmatch = { event_type = \"alert\", \"alert.severity\" = \"<=2\", " \
	"\"alert.signature\" = \"!~ STREAM\" }\nnode = \"{host}\"\ninterface = [\"{in_iface|any}\"]\nbpf = "          \
	"\"{flow}\"\n"                                                                                                \
	"from = \"{flow.start - 2s}\"\nduration = 30\ndedupe = \"{flow_id}\"\ncomment = \"{alert.signature}\"\n"

static void test_an_alert_becomes_a_request(void **state)
{
	(void)state;
	check(IDS, EVE, ALERT_START,
	      "{\"bpf\":\"((tcp and host 10.0.0.1 and host 10.0.0.2 and port 40000 and port 22) or (vlan and tcp and "
	      "host "
	      "10.0.0.1 and host 10.0.0.2 and port 40000 and port 22))\",\"comment\":\"ET "
	      "SCAN\",\"dedupe\":\"77\",\"from\":"
	      "\"2026-12-01T07:58:58.500000000Z\",\"interface\":[\"eth0\"],\"node\":\"edge1.example\",\"to\":"
	      "\"2026-12-01T08:00:30.000000000Z\"}");
}

static void test_a_rule_without_node_and_interface_is_for_all_of_this_node(void **state)
{
	(void)state;
	check("[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nbefore = 30\nduration = \"{d}\"\n", "{\"x\":1,\"d\":5}",
	      ALERT_START,
	      "{\"before\":30,\"duration\":5,\"interface\":[\"any\"],\"merge\":true,\"node\":\"edge1.example\"}");
	check("[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nalias = [\"mgmt\"]\ndestinations = [\"local\"]\n",
	      "{\"x\":1}", ALERT_START,
	      "{\"alias\":[\"mgmt\"],\"node\":\"edge1.example\",\"to_destinations\":[\"local\"]}");
}

static void test_a_window_in_the_future_lasts_from_its_begin(void **state)
{
	(void)state;
	check("[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nfrom = \"{t}\"\nduration = 1.5\nalias = [\"mgmt\"]\n",
	      "{\"x\":1,\"t\":\"2026-12-01T09:00:00Z\"}", ALERT_START,
	      "{\"alias\":[\"mgmt\"],\"from\":\"2026-12-01T09:00:00.000000000Z\",\"node\":\"edge1.example\",\"to\":"
	      "\"2026-12-01T09:00:01.500000000Z\"}");
}

static void test_a_duration_out_of_range_is_no_match(void **state)
{
	static const char rule[] = "[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nfrom = \"{t}\"\nduration = \"{d}\"\n"
				   "alias = [\"mgmt\"]\n";

	(void)state;
	check(rule, "{\"x\":1,\"t\":\"2026-12-01T09:00:00Z\",\"d\":-5}", ALERT_NO_MATCH,
	      "duration is -5 s; it must be 0 to 31622400");
	check(rule, "{\"x\":1,\"t\":\"2026-12-01T09:00:00Z\",\"d\":9000000000000000000}", ALERT_NO_MATCH,
	      "duration is 9e+18 s; it must be 0 to 31622400");
	check(rule, "{\"x\":1,\"t\":\"2026-12-01T09:00:00Z\",\"d\":0}", ALERT_START,
	      "{\"alias\":[\"mgmt\"],\"from\":\"2026-12-01T09:00:00.000000000Z\",\"node\":\"edge1.example\",\"to\":"
	      "\"2026-12-01T09:00:00.000000000Z\"}");
}

static void test_the_reason_names_what_did_not_match(void **state)
{
	static const struct {
		const char *rule, *alert, *why;
	} cases[] = {
		{"input = \"trap\"", "{\"x\":1}", "it is for the input trap, and this alert came as eve"},
		{"input = \"ids\"\nnode = \"{h}\"", "{\"x\":1,\"h\":\"edge2\"}",
		 "the alert is about edge2, and this node is edge1.example"},
		{"node = \"{h}\"", "{\"x\":1}", "h is missing; the alert has x"},
		{"interface = [\"{i}\"]", "{\"x\":1,\"i\":\"eth9\"}", "this node has no interface eth9"},
		{"bpf = \"port {p:port}\"", "{\"x\":1}", "p is missing; the alert has x"},
		{"", "{\"x\":2}", "x is \"2\"; the rule wants \"1\""},
		{"", "{}", "x is missing"},
		{"", "{\"x\":{\"y\":1}}", "x is an object, not a text"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[512];

		snprintf(text, sizeof(text), "[[rule]]\nname = \"a\"\n%s\nmatch = { x = 1 }\n", cases[i].rule);
		check(text, cases[i].alert, ALERT_NO_MATCH, cases[i].why);
	}
}

static void test_a_host_is_this_node_by_name_short_name_or_configuration(void **state)
{
	static const char *const hosts[] = {"edge1", "edge1.example", "10.9.9.9"};
	char alert[64];

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		snprintf(alert, sizeof(alert), "{\"x\":1,\"h\":\"%s:9100\"}", hosts[i]);
		check("[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nnode = \"{h}\"\nalias = [\"m\"]\n", alert,
		      ALERT_START, "{\"alias\":[\"m\"],\"node\":\"edge1.example\"}");
	}
}

#define FIRING                                                                                                     \
	"[[rule]]\nname = \"a\"\nmatch = { status = \"firing\", \"labels.alertname\" = \"~ ^Checkout\" }\nnode = " \
	"\"{host}\"\n"                                                                                             \
	"stop_on = \"resolved\"\ndedupe = \"{fingerprint}\"\nalias = [\"m\"]\npublish = true\n"

static void test_a_resolved_alert_stops_what_the_firing_one_began(void **state)
{
	(void)state;
	check(FIRING,
	      "{\"status\":\"firing\",\"labels\":{\"alertname\":\"CheckoutSlow\"},\"host\":\"edge7\",\"fingerprint\":"
	      "\"f\"}",
	      ALERT_START, "{\"alias\":[\"m\"],\"dedupe\":\"f\",\"node\":\"edge7\"}");
	check(FIRING,
	      "{\"status\":\"resolved\",\"labels\":{\"alertname\":\"CheckoutSlow\"},\"host\":\"edge7\",\"fingerprint\":"
	      "\"f\"}",
	      ALERT_STOP, "{\"dedupe\":\"f\",\"node\":\"edge7\",\"stop\":true}");
	check(FIRING,
	      "{\"status\":\"resolved\",\"labels\":{\"alertname\":\"Disk\"},\"host\":\"edge7\",\"fingerprint\":\"f\"}",
	      ALERT_NO_MATCH, "labels.alertname is \"Disk\"; the rule wants \"~ ^Checkout\"");
}

/* An alert that could name every node would widen the request. Interfaces are checked where they are known. */
static void test_a_rule_that_publishes_names_one_node(void **state)
{
	static const char rule[] = "[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nnode = \"{h}\"\ninterface = "
				   "[\"{i}\"]\npublish = true\n";

	(void)state;
	check(rule, "{\"x\":1,\"h\":\"any\",\"i\":\"eth0\"}", ALERT_NO_MATCH, "any is no host");
	check(rule, "{\"x\":1,\"h\":\"edge7\",\"i\":\"eth9\"}", ALERT_START,
	      "{\"interface\":[\"eth9\"],\"node\":\"edge7\"}");
	check(rule, "{\"x\":1,\"h\":\"edge1\",\"i\":\"eth9\"}", ALERT_NO_MATCH, "this node has no interface eth9");
	check(rule, "{\"x\":1,\"h\":\"10.9.9.9:80\",\"i\":\"eth0\"}", ALERT_START,
	      "{\"interface\":[\"eth0\"],\"node\":\"edge1.example\"}");
}

static void test_faults_name_line_and_key(void **state)
{
	static const struct {
		const char *text, *fault;
	} cases[] = {
		{"[[rule]]\nmatch = { x = 1 }\n", "f:1:1: name: is missing"},
		{"[[rule]]\nname = \"a\"\n", "f:1:1: rule a: match: is missing; it says which alerts the rule takes"},
		{"[[rule]]\nname = \"a b\"\nmatch = { x = 1 }\n",
		 "f:2:8: name: must be 1 to 64 of the characters A-Z a-z 0-9 . _ -"},
		{"[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nbfp = \"tcp\"\n",
		 "f:4:1: bfp: unknown key (did you mean bpf?)"},
		{"[[rule]]\nname = \"a\"\nmatch = { a.b = 1 }\n",
		 "a: must be a string, number or boolean, or an array of them; a path with dots needs quotes"},
		{"[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nbpf = \"port {p:port} or\"\n",
		 "filled in with optional parts"},
		{"[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nbpf = \"port {p}\"\n",
		 "f:4:7: bpf: {p} needs a type in a filter"},
		{"[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nmax_running = 0\n",
		 "max_running: must be an integer from 1 to 1000000"},
		{"[[rule]]\nname = \"a\"\nmatch = { x = 1 }\npublish = true\n", "publish: needs a node"},
		{"[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nstop_on = \"resolved\"\n",
		 "stop_on: needs dedupe, which says what it stops"},
		{"[[rule]]\nname = \"a\"\nmatch = { x = 1 }\nalias = [\"m\"]\ninterface = [\"eth0\"]\n",
		 "interface and alias: give one of the two"},
		{"[[rule]]\nname = \"a\"\nmatch = { x = 1 }\n[[rule]]\nname = \"a\"\nmatch = { x = 1 }\n",
		 "f:5:8: name: another rule is called a"},
		{"[[rules]]\nname = \"a\"\n", "f:1:1: rules: unknown section; a rule is a [[rule]]"},
		{"[rule]\nname = \"a\"\n", "f:1:1: rule: write [[rule]]"},
		{"name = \"a\"\n", "f:1:1: name: is outside any [[rule]]"},
		{"[[rule]]\nname = \n", "f:2:"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		cleanup(alert_rules_clear) struct alert_rules rules = {0};
		cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(65536);

		assert_int_equal(alert_rules_read(&rules, "f", cases[i].text, strlen(cases[i].text), &faults), -EINVAL);
		if (!strstr(buffer_text(&faults), cases[i].fault))
			fail_msg("%s\n  gives\n%s  not %s", cases[i].text, buffer_text(&faults), cases[i].fault);
		assert_int_equal(rules.count, 0);
	}
}

static void test_documents_add_up_and_a_faulty_one_adds_nothing(void **state)
{
	static const char
		one[] = "[[rule]]\nname = \"a\"\nmatch = { x = 1 }\n",
		two[] = "[[rule]]\nname = \"b\"\nmatch = { x = 1 }\n",
		bad[] = "[[rule]]\nname = \"c\"\nmatch = { x = 1 }\n[[rule]]\nname = \"a\"\nmatch = { x = 1 }\n";
	cleanup(alert_rules_clear) struct alert_rules rules = {0};
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(65536);

	(void)state;
	assert_int_equal(alert_rules_read(&rules, "1", one, strlen(one), &faults), 0);
	assert_int_equal(alert_rules_read(&rules, "2", two, strlen(two), &faults), 0);
	assert_int_equal(alert_rules_read(&rules, "3", bad, strlen(bad), &faults), -EINVAL);
	assert_int_equal(rules.count, 2);
	assert_string_equal(rules.items[1]->name, "b");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_alert_becomes_a_request),
		cmocka_unit_test(test_a_rule_without_node_and_interface_is_for_all_of_this_node),
		cmocka_unit_test(test_a_window_in_the_future_lasts_from_its_begin),
		cmocka_unit_test(test_a_duration_out_of_range_is_no_match),
		cmocka_unit_test(test_the_reason_names_what_did_not_match),
		cmocka_unit_test(test_a_host_is_this_node_by_name_short_name_or_configuration),
		cmocka_unit_test(test_a_resolved_alert_stops_what_the_firing_one_began),
		cmocka_unit_test(test_a_rule_that_publishes_names_one_node),
		cmocka_unit_test(test_faults_name_line_and_key),
		cmocka_unit_test(test_documents_add_up_and_a_faulty_one_adds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
