/* SPDX-License-Identifier: BSD-2-Clause */
/* What each format's messages become, and where the fault is in those that are broken. */
#include "alerts.h"

#include <errno.h>
#include <string.h>

#include "alert/alert_format.h"
#include "alert/alert_path.h"
#include "base/buffer.h"

static void check(const char *format, const char *message, const char *expected)
{
	cleanup(cleanup_json) json_t *alerts = NULL;
	struct error err = {0};
	const int r = alert_format_read(alert_format_find(format), message, strlen(message), &err, &alerts);
	cleanup(cleanup_free) char *text =
		r == 0 ? json_dumps(alerts, JSON_COMPACT | JSON_SORT_KEYS) : strdup(err.text);

	if (strcmp(text, expected) != 0)
		fail_msg("%s: %s\n  gives     %s\n  should be %s", format, message, text, expected);
}

static void test_json_is_one_alert_or_several(void **state)
{
	(void)state;
	check("eve", "{\"a\":1}\n", "[{\"a\":1}]");
	check("json", "[{\"a\":1},{\"b\":2}]", "[{\"a\":1},{\"b\":2}]");
	check("json", "[]", "[]");
	check("request", "{}", "is a request, which needs no rule");
	check("json", "[1]", "the message.0 is not an object");
	check("json", "1", "is not JSON: '[' or '{' expected near '1' at line 1, column 1");
	check("zeek", "{\"a\":1", "is not JSON: '}' expected near end of file at line 1, column 6");
}

static void test_an_active_response_gets_the_alert_with_its_command(void **state)
{
	(void)state;
	check("wazuh",
	      "{\"version\":1,\"command\":\"delete\",\"parameters\":{\"alert\":{\"id\":\"1\"},\"program\":\"p\"}}",
	      "[{\"command\":\"delete\",\"id\":\"1\"}]");
	check("wazuh", "{\"parameters\":{\"alert\":{\"id\":\"1\"}}}", "[{\"id\":\"1\"}]");
	check("wazuh", "{\"parameters\":{\"alert\":1}}", "[{\"parameters\":{\"alert\":1}}]");
	check("json", "{\"parameters\":{\"alert\":{}}}", "[{\"parameters\":{\"alert\":{}}}]");
}

static void test_each_alert_of_a_group_is_one(void **state)
{
	(void)state;
	check("alertmanager",
	      "{\"status\":\"firing\",\"receiver\":\"r\",\"alerts\":[{\"status\":\"resolved\",\"labels\":{\"a\":\"1\"}}"
	      ",{\"labels\":{}}]}",
	      "[{\"labels\":{\"a\":\"1\"},\"receiver\":\"r\",\"status\":\"resolved\"},{\"labels\":{},\"receiver\":"
	      "\"r\","
	      "\"status\":\"firing\"}]");
	check("grafana", "{\"alerts\":1}", "the message has no array \"alerts\"");
	check("alertmanager", "{\"alerts\":[1]}", "alerts.0 is not an object");
	check("alertmanager", "[{}]", "is not an object");
}

static void test_pairs(void **state)
{
	(void)state;
	check("kv", "a=1 b=\"two words\" c= d=\"a \\\"b\\\" \\\\\"\n",
	      "[{\"a\":\"1\",\"b\":\"two words\",\"c\":\"\",\"d\":\"a \\\"b\\\" \\\\\"}]");
	check("kv", "a=1 b", "at byte 4: \"b\" is no key=value");
	check("kv", "a='it is \\\"' b='' c='\n'", "[{\"a\":\"it is \\\\\\\"\",\"b\":\"\",\"c\":\"\\n\"}]");
	check("kv", "a=\"1", "at byte 0: the value of a has no closing quote");
	check("kv", "a='1\"", "at byte 0: the value of a has no closing quote");
	check("kv", "  \n", "has no key=value");
	check("kv", "=1", "at byte 0: \"=1\" is no key=value");
}

static void test_syslog_of_rfc_5424(void **state)
{
	(void)state;
	check("syslog", "<165>1 2026-12-01T10:00:00.003Z edge1 ids - ID47 [x@1 in=\"eth0\" s=\"a\\]b\"][y@1] msg",
	      "[{\"app\":\"ids\",\"data\":{\"x@1\":{\"in\":\"eth0\",\"s\":\"a]b\"},\"y@1\":{}},\"facility\":20,"
	      "\"host\":\"edge1\","
	      "\"message\":\"msg\",\"msgid\":\"ID47\",\"severity\":\"notice\",\"timestamp\":\"2026-12-01T10:00:00."
	      "003Z\"}]");
	check("syslog", "<34>1 - - - - - - \xef\xbb\xbf{\"a\":[1]}",
	      "[{\"data\":{},\"facility\":4,\"json\":{\"a\":[1]},\"message\":\"{\\\"a\\\":[1]}\",\"severity\":"
	      "\"critical\"}]");
	check("syslog", "<34>1 - - - - - [x", "at byte 18: structured data has no ]");
	check("syslog", "<34>1 - - - - - [", "at byte 17: structured data has a bad id");
	check("syslog", "<34>1 - - - - - [x a=\"]", "at byte 23: the value of a has no closing quote");
}

static void test_syslog_as_daemons_write_it(void **state)
{
	(void)state;
	check("syslog", "<34>Dec  1 10:00:00 edge1 sshd[12]: user=root from=10.0.0.1",
	      "[{\"app\":\"sshd\",\"facility\":4,\"host\":\"edge1\",\"kv\":{\"from\":\"10.0.0.1\",\"user\":\"root\"},"
	      "\"message\":"
	      "\"user=root from=10.0.0.1\",\"procid\":\"12\",\"severity\":\"critical\"}]");
	check("syslog", "<13>app: hello there",
	      "[{\"app\":\"app\",\"facility\":1,\"message\":\"hello there\",\"severity\":\"notice\"}]");
	check("syslog", "<13>hello there", "[{\"facility\":1,\"message\":\"hello there\",\"severity\":\"notice\"}]");
	check("syslog", "<36>2026-12-01T13:47:46.044478+00:00 edge1 login: event=failed",
	      "[{\"app\":\"login\",\"facility\":4,\"host\":\"edge1\",\"kv\":{\"event\":\"failed\"},\"message\":"
	      "\"event=failed\",\"severity\":\"warning\",\"timestamp\":\"2026-12-01T13:47:46.044478+00:00\"}]");
	check("syslog", "<192>x", "at byte 0: does not begin with a priority such as <34>");
	check("syslog", "hello", "at byte 0: does not begin with a priority such as <34>");
	check("syslog", "<>x", "at byte 0: does not begin with a priority such as <34>");
}

static void test_pairs_and_json_are_found_in_a_log_line(void **state)
{
	(void)state;
	check("syslog", "<13>[BLOCK] IN=eth0 OUT= SRC=192.0.2.7 DF a=\"1 SYN",
	      "[{\"facility\":1,\"kv\":{\"IN\":\"eth0\",\"OUT\":\"\",\"SRC\":\"192.0.2.7\"},\"message\":\"[BLOCK] "
	      "IN=eth0 OUT= SRC=192.0.2.7 DF a=\\\"1 SYN\",\"severity\":\"notice\"}]");
	check("syslog", "<13>app: @cee: {\"a\":1}",
	      "[{\"app\":\"app\",\"facility\":1,\"json\":{\"a\":1},\"message\":\"@cee: {\\\"a\\\":1}\",\"severity\":"
	      "\"notice\"}]");
}

static void test_values_of_traps(void **state)
{
	(void)state;
	check("trap",
	      "<UNKNOWN>\nUDP/IPv6: [::1]:42366\n.1.3.6.1.6.3.1.1.4.1.0 .1.3.6\n.1.1 \"two\nlines \\\"q\\\"\"\n.1.2 "
	      "\n.1.3 "
	      "\"02 00 \"\n",
	      "[{\"address\":\"::1\",\"oid\":\"1.3.6\",\"variables\":{\"1.1\":\"two\\nlines \\\"q\\\"\",\"1.2\":\"\","
	      "\"1.3\":\"02 00 \"}}]");
	check("trap", "h\n\niso.3.6.1.6.3.1.1.4.1.0 iso.3.6.1\niso.3.6.1.2 = 3\n",
	      "[{\"host\":\"h\",\"oid\":\"1.3.6.1\",\"variables\":{\"1.3.6.1.2\":\"3\"}}]");
	check("trap", "h\n\nSNMPv2-MIB::snmpTrapOID.0 IF-MIB::linkDown\nIF-MIB::ifIndex.3 3\n",
	      "[{\"host\":\"h\",\"oid\":\"IF-MIB::linkDown\",\"variables\":{\"IF-MIB::ifIndex.3\":\"3\"}}]");
	check("trap", "h\n\n.1.2 \"a\n", "at byte 3: the value of 1.2 has no closing quote");
}

static void test_traps(void **state)
{
	(void)state;
	check("trap",
	      "router1\nUDP: [10.0.0.1]:45000->[10.0.0.9]:162\n.1.3.6.1.2.1.1.3.0 0:0:00:10.00\n.1.3.6.1.6.3.1.1.4.1.0 "
	      ".1.3.6.1.6.3.1.1.5.3\n.1.3.6.1.2.1.2.2.1.2.7 \"eth 7\"\n",
	      "[{\"address\":\"10.0.0.1\",\"host\":\"router1\",\"oid\":\"1.3.6.1.6.3.1.1.5.3\",\"variables\":"
	      "{\"1.3.6.1.2.1.1.3.0\":\"0:0:00:10.00\",\"1.3.6.1.2.1.2.2.1.2.7\":\"eth 7\"}}]");
	check("trap", "router1\n\n", "has no variable 1.3.6.1.6.3.1.1.4.1.0 (snmpTrapOID)");
	check("trap", "router1\nUDP: [10.0.0.1]\n1.3.6\n", "at byte 24: \"1.3.6\n\" is no variable of a trap");
}

static void test_text_must_be_utf8(void **state)
{
	cleanup(cleanup_json) json_t *alerts = NULL;
	struct error err;

	(void)state;
	assert_int_equal(alert_format_read(ALERT_FORMAT_KV, "a=\xff", 3, &err, &alerts), -EINVAL);
	assert_string_equal(err.text, "is not UTF-8 text at byte 2");
	assert_int_equal(alert_format_read(ALERT_FORMAT_KV, "a=1\0", 4, &err, &alerts), -EINVAL);
}

static void test_messages_have_limits(void **state)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(2 * ALERT_MESSAGE_MAX);
	cleanup(cleanup_json) json_t *alerts = NULL;
	struct error err;

	(void)state;
	for (int i = 0; i <= ALERT_PAIRS_MAX; i++)
		assert_int_equal(buffer_printf(&text, "k%d=1 ", i), 0);
	check("kv", buffer_text(&text), "at byte 1682: has more than 256 pairs");
	buffer_clear(&text);
	for (int i = 0; i <= ALERT_DEPTH_MAX; i++)
		assert_int_equal(buffer_append_string(&text, "["), 0);
	check("json", buffer_text(&text), "nests deeper than 32 levels");
	while (text.size <= ALERT_MESSAGE_MAX)
		assert_int_equal(buffer_append_string(&text, "                "), 0);
	assert_int_equal(alert_format_read(ALERT_FORMAT_JSON, text.data, text.size, &err, &alerts), -EINVAL);
}

static void test_formats_have_names(void **state)
{
	(void)state;
	for (enum alert_format format = 0; format < ALERT_FORMATS; format++)
		assert_int_equal(alert_format_find(alert_format_name(format)), format);
	assert_int_equal(alert_format_find("xml"), ALERT_FORMATS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_is_one_alert_or_several),
		cmocka_unit_test(test_an_active_response_gets_the_alert_with_its_command),
		cmocka_unit_test(test_each_alert_of_a_group_is_one),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_syslog_of_rfc_5424),
		cmocka_unit_test(test_syslog_as_daemons_write_it),
		cmocka_unit_test(test_pairs_and_json_are_found_in_a_log_line),
		cmocka_unit_test(test_traps),
		cmocka_unit_test(test_values_of_traps),
		cmocka_unit_test(test_text_must_be_utf8),
		cmocka_unit_test(test_messages_have_limits),
		cmocka_unit_test(test_formats_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
