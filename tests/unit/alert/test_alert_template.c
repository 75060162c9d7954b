/* SPDX-License-Identifier: BSD-2-Clause */
/* What templates print, refuse and leave out; and the property that no text of an alert changes a filter's structure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "alert/alert_template.h"
#include "alerts.h"
#include "base/clock.h"
#include "bpf/filter_syntax.h"

#define ROUNDS 20000

static int fill(const char *text, enum alert_place place, const char *alert, struct buffer *out, struct error *why)
{
	cleanup(cleanup_alert_template) struct alert_template *template = NULL;
	cleanup(cleanup_json) json_t *json = parsed(alert);

	if (alert_template_new(text, place, why, &template) < 0)
		fail_msg("%s: %s", text, why->text);
	return alert_template_fill(template, json, out, why);
}

static void check(const char *text, enum alert_place place, const char *alert, int result, const char *expected)
{
	cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(ALERT_FILTER_MAX);
	struct error why = {0};
	const int r = fill(text, place, alert, &out, &why);
	const char *got = r == 0 ? buffer_text(&out) : why.text;

	if (r != result || strcmp(got, expected) != 0)
		fail_msg("%s with %s: %d, \"%s\"; should be %d, \"%s\"", text, alert, r, got, result, expected);
}

#define SSH "{\"src_ip\":\"10.0.0.1\",\"dest_ip\":\"10.0.0.2\",\"src_port\":40000,\"dest_port\":22,\"proto\":\"TCP\"}"

static void test_filters_are_filled_in(void **state)
{
	(void)state;
	check("tcp port {p:port}", ALERT_IN_FILTER, "{\"p\":443}", 0, "tcp port 443");
	check("tcp port {p:port|443}", ALERT_IN_FILTER, "{}", 0, "tcp port 443");
	check("tcp port {p:port|443}", ALERT_IN_FILTER, "{\"p\":null}", 0, "tcp port 443");
	check("host {a.b:ip}[ and port {p:port}]", ALERT_IN_FILTER, "{\"a\":{\"b\":\"::1\"}}", 0, "host ::1");
	check("host {a:ip}[ and port {p:port}] or arp", ALERT_IN_FILTER, "{\"a\":\"::1\",\"p\":53}", 0,
	      "host ::1 and port 53 or arp");
	check("tcp[13] & 2 != 0[ and port {p:port}]", ALERT_IN_FILTER, "{\"p\":1}", 0, "tcp[13] & 2 != 0 and port 1");
	check("{flow}", ALERT_IN_FILTER, SSH, 0,
	      "((tcp and host 10.0.0.1 and host 10.0.0.2 and port 40000 and port 22) or (vlan and tcp and host "
	      "10.0.0.1 "
	      "and host 10.0.0.2 and port 40000 and port 22))");
	check("{flow}", ALERT_IN_FILTER, "{\"id.orig_h\":\"::1\",\"id.resp_h\":\"::2\",\"proto\":\"icmp6\"}", 0,
	      "((icmp6 and host ::1 and host ::2) or (vlan and icmp6 and host ::1 and host ::2))");
}

static void test_a_value_that_is_missing_or_wrong_never_widens_a_filter(void **state)
{
	(void)state;
	check("tcp port {p:port}", ALERT_IN_FILTER, "{}", -ENOENT, "p is missing");
	check("tcp port {p:port}", ALERT_IN_FILTER, "{\"p\":null}", -ENOENT, "p is null, not a text");
	check("tcp port {p:port}", ALERT_IN_FILTER, "{\"p\":\"1 or tcp\"}", -EINVAL,
	      "p is \"1 or tcp\", which is no port");
	check("tcp port {p:port|443}", ALERT_IN_FILTER, "{\"p\":\"x\"}", -EINVAL, "p is \"x\", which is no port");
	check("arp[ or port {p:port}]", ALERT_IN_FILTER, "{\"p\":\"x\"}", -EINVAL, "p is \"x\", which is no port");
	check("{flow}", ALERT_IN_FILTER, "{\"src_ip\":\"10.0.0.1\"}", -ENOENT,
	      "{flow}: the alert has no two hosts in fields that Suricata, Zeek, Falco, Wazuh or ECS use");
	check("{flow}", ALERT_IN_FILTER, "{\"src_ip\":\"10.0.0.1\",\"dest_ip\":\"10.0.0.2\",\"proto\":\"TCP\"}",
	      -ENOENT, "src_port is missing; the alert has src_ip, dest_ip, proto");
	check("{flow}", ALERT_IN_FILTER, "{\"src_ip\":\"10.0.0.1\",\"dest_ip\":\"10.0.0.2\"}", -ENOENT,
	      "proto is missing; the alert has src_ip, dest_ip");
}

static void test_other_places_are_filled_in(void **state)
{
	(void)state;
	check("{t - 2s}", ALERT_IN_TIME, "{\"t\":\"2026-12-01T10:00:00Z\"}", 0, "2026-12-01T09:59:58.000000000Z");
	check("{t + 1.5s}", ALERT_IN_TIME, "{\"t\":1764583200}", 0, "2025-12-01T10:00:01.500000000Z");
	check("{t - 2s}", ALERT_IN_TIME, "{\"t\":1}", -EINVAL, "t is \"1\", which is no time");
	check("{in_iface|any}", ALERT_IN_INTERFACE, "{}", 0, "any");
	check("{in_iface|any}", ALERT_IN_INTERFACE, "{\"in_iface\":\"eth0\"}", 0, "eth0");
	check("eth1", ALERT_IN_INTERFACE, "{}", 0, "eth1");
	check("{labels.instance:host}", ALERT_IN_NODE, "{\"labels\":{\"instance\":\"edge1:9100\"}}", 0, "edge1");
	check("{n}", ALERT_IN_NUMBER, "{\"n\":\"30\"}", 0, "30");
	check("{s}: {p:port} [x]", ALERT_IN_TEXT, "{\"s\":\"a\\nb\",\"p\":1}", 0, "a b: 1 [x]");
}

static void test_bad_templates_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum alert_place place;
		const char *fault;
	} bad[] = {
		{"port {p}", ALERT_IN_FILTER, "{p} needs a type in a filter, such as {p:ip}"},
		{"{x:text}", ALERT_IN_FILTER, "{x}: a filter does not take the type text"},
		{"host {x:host}", ALERT_IN_FILTER, "{x}: a filter does not take the type host"},
		{"host {x:ips}", ALERT_IN_FILTER,
		 "{x:ips}: the types are text, ip, cidr, port, proto, mac, int, host, time and interface"},
		{"port {p:port|x}", ALERT_IN_FILTER, "{p}: the default \"x\" is no port"},
		{"port {p:port", ALERT_IN_FILTER, "a { has no }"},
		{"arp[ or port {p:port}", ALERT_IN_FILTER, "an optional part has no ]"},
		{"{flow} and port 1", ALERT_IN_FILTER, "{flow} must come last in a filter"},
		{"{flow|tcp}", ALERT_IN_FILTER, "{flow} has no default"},
		{"{l.each:ip}", ALERT_IN_FILTER, "{l.each}: only conditions may say each"},
		{"{}", ALERT_IN_TEXT, "a placeholder needs a path of 1 to 256 bytes"},
		{"x{t}", ALERT_IN_TIME, "a time is one placeholder, with no text around it"},
		{"{h}.*", ALERT_IN_NODE, "a node is one placeholder, with no text around it"},
		{"{h:text}", ALERT_IN_NODE, "{h}: a node does not take the type text"},
		{"{t - 2x}", ALERT_IN_TIME, "{t - 2x}: \"2x\" is not a duration like 30s"},
		{"{t - 2s}", ALERT_IN_NUMBER, "{t}: only a time can be shifted"},
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		cleanup(cleanup_alert_template) struct alert_template *template = NULL;
		const int r = alert_template_new(bad[i].text, bad[i].place, &err, &template);

		if (r != -EINVAL || strcmp(err.text, bad[i].fault) != 0)
			fail_msg("%s: %d, \"%s\"; should be \"%s\"", bad[i].text, r, r ? err.text : "", bad[i].fault);
	}
}

/* --- no text of an alert changes a filter's structure --- */

static uint64_t random_state = 1;

static unsigned random_below(unsigned limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % limit;
}

/* Half a value of some type, half of what an attacker would add. */
static void make_text(char *text, size_t size)
{
	static const char *const parts[] = {"10.0.0.1", "::1", "443",	 "tcp",
					    " or ",	")",   "(",	 " and ",
					    "not ",	"/8",  "/0",	 "02:00:00:00:00:01",
					    "[",	"]",   "{flow}", "|",
					    ":",	" ",   "\\",	 "\n",
					    "0x",	"1",   "-",	 ".",
					    "ip",	"#",   "'",	 "\"",
					    "&",	"%",   "é",	 "::ffff:1.2.3.4"};

	text[0] = '\0';
	for (unsigned i = 1 + random_below(4); i > 0; i--)
		strncat(text, parts[random_below(COUNT(parts))], size - strlen(text) - 1);
}

/* The words of a filter: each of the template's must be there, and one token for each placeholder. */
static size_t words_of(const char *filter)
{
	size_t words = 0;

	for (const char *at = filter + strspn(filter, " "); *at; at += strspn(at, " ")) {
		words++;
		at += strcspn(at, " ");
	}
	return words;
}

#define FIELDS_MAX 6

static const struct filter {
	const char *text, *names[FIELDS_MAX], *values[FIELDS_MAX];
	size_t words[2]; /* of what may come of it: without and with an optional part */
	size_t brackets; /* of each kind */
} filters[] = {
	{"host {ip:ip} and net {cidr:cidr} and {proto:proto} port {port:port} and ether host {mac:mac} and len > "
	 "{int:int}",
	 {"ip", "cidr", "proto", "port", "mac", "int"},
	 {"10.0.0.1", "10.0.0.0/8", "tcp", "443", "02:00:00:00:00:01", "5"},
	 {17, 17},
	 0},
	{"host {ip:ip}[ and port {port:port} and net {cidr:cidr}]",
	 {"ip", "port", "cidr"},
	 {"10.0.0.1", "443", "10.0.0.0/8"},
	 {2, 8},
	 0},
	{"arp or {flow}", /* with ports only for some protocols */
	 {"src_ip", "dest_ip", "src_port", "dest_port", "proto"},
	 {"10.0.0.1", "10.0.0.2", "40000", "22", "TCP"},
	 {19, 31},
	 3},
};

static size_t count_of(const char *text, char character)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == character;
	return count;
}

static bool has_structure(const struct filter *filter, const char *filled)
{
	const size_t words = words_of(filled);
	struct error err;

	return (words == filter->words[0] || words == filter->words[1]) && count_of(filled, '(') == filter->brackets &&
	       count_of(filled, ')') == filter->brackets && !strpbrk(filled, "[]{}|&\\\"'\n#%") &&
	       filter_check_syntax(filled, &err) != -EINVAL;
}

/* All fields but one have values that fit; some are missing. */
static json_t *make_alert(const struct filter *filter)
{
	json_t *alert = json_object();
	size_t count = 0;

	while (count < FIELDS_MAX && filter->names[count])
		count++;
	const size_t changed = random_below((unsigned)count);
	for (size_t i = 0; i < count; i++) {
		char value[128];

		make_text(value, sizeof(value));
		if (random_below(16))
			json_object_set_new(alert, filter->names[i],
					    json_string(i == changed ? value : filter->values[i]));
	}
	return alert;
}

static void test_no_text_of_an_alert_changes_a_filters_structure(void **state)
{
	struct error err;

	(void)state;
	for (size_t i = 0; i < COUNT(filters); i++) {
		cleanup(cleanup_alert_template) struct alert_template *template = NULL;
		unsigned filled = 0;

		assert_int_equal(alert_template_new(filters[i].text, ALERT_IN_FILTER, &err, &template), 0);
		for (unsigned round = 0; round < ROUNDS; round++) {
			cleanup(cleanup_json) json_t *alert = make_alert(&filters[i]);
			cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(ALERT_FILTER_MAX);

			if (alert_template_fill(template, alert, &out, &err) < 0)
				continue;
			filled++;
			if (!has_structure(&filters[i], buffer_text(&out)))
				fail_msg("\"%s\"", buffer_text(&out));
		}
		assert_true(filled > ROUNDS / 100);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters_are_filled_in),
		cmocka_unit_test(test_a_value_that_is_missing_or_wrong_never_widens_a_filter),
		cmocka_unit_test(test_other_places_are_filled_in),
		cmocka_unit_test(test_bad_templates_are_refused),
		cmocka_unit_test(test_no_text_of_an_alert_changes_a_filters_structure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
