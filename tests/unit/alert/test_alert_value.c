/* SPDX-License-Identifier: BSD-2-Clause */
/* What each type takes and prints, and that it takes nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "alert/alert_value.h"
#include "alerts.h"

struct example {
	enum alert_type type;
	const char *json;
	const char *printed; /* NULL: it is none of that type */
};

static const struct example examples[] = {
	{ALERT_IP, "\"10.0.0.1\"", "10.0.0.1"},
	{ALERT_IP, "\"2001:DB8:0:0::1\"", "2001:db8::1"},
	{ALERT_IP, "\"::ffff:192.0.2.1\"", "192.0.2.1"},
	{ALERT_IP, "\"10.0.0.1 or tcp\"", NULL},
	{ALERT_IP, "\"10.0.0.1/8\"", NULL},
	{ALERT_IP, "\"010.0.0.1\"", NULL},
	{ALERT_IP, "\"fe80::1%eth0\"", NULL},
	{ALERT_IP, "\"\"", NULL},
	{ALERT_IP, "167772161", NULL},
	{ALERT_CIDR, "\"10.1.2.3/8\"", "10.0.0.0/8"},
	{ALERT_CIDR, "\"10.1.2.3\"", "10.1.2.3/32"},
	{ALERT_CIDR, "\"2001:db8::ff/65\"", "2001:db8::/65"},
	{ALERT_CIDR, "\"0.0.0.0/0\"", "0.0.0.0/0"},
	{ALERT_CIDR, "\"10.0.0.0/33\"", NULL},
	{ALERT_CIDR, "\"10.0.0.0/-1\"", NULL},
	{ALERT_CIDR, "\"10.0.0.0/\"", NULL},
	{ALERT_CIDR, "\"10.0.0.0/8 or ip\"", NULL},
	{ALERT_PORT, "443", "443"},
	{ALERT_PORT, "\"443\"", "443"},
	{ALERT_PORT, "\"host:9100\"", "9100"},
	{ALERT_PORT, "\"[2001:db8::1]:9100\"", "9100"},
	{ALERT_PORT, "0", NULL},
	{ALERT_PORT, "65536", NULL},
	{ALERT_PORT, "-1", NULL},
	{ALERT_PORT, "\"443 or tcp\"", NULL},
	{ALERT_PORT, "\"0x1bb\"", NULL},
	{ALERT_PORT, "443.0", "443"},
	{ALERT_PROTO, "\"TCP\"", "tcp"},
	{ALERT_PROTO, "6", "tcp"},
	{ALERT_PROTO, "\"17\"", "udp"},
	{ALERT_PROTO, "\"IPv6-ICMP\"", "icmp6"},
	{ALERT_PROTO, "0", NULL},
	{ALERT_PROTO, "\"not tcp\"", NULL},
	{ALERT_PROTO, "\"tcp or udp\"", NULL},
	{ALERT_MAC, "\"02:00:00:00:00:0A\"", "02:00:00:00:00:0a"},
	{ALERT_MAC, "\"0200.0000.000a\"", "02:00:00:00:00:0a"},
	{ALERT_MAC, "\"02000000000a\"", "02:00:00:00:00:0a"},
	{ALERT_MAC, "\"02 00 00 00 00 0A \"", "02:00:00:00:00:0a"},
	{ALERT_MAC, "\" 02 00 00 00 00 0A\"", NULL},
	{ALERT_MAC, "\"02-00-00-00-00\"", NULL},
	{ALERT_MAC, "\"02:00:00:00:00:0a:0b\"", NULL},
	{ALERT_MAC, "\"0:2:0:0:0:0:0:0:0:0:0:0\"", NULL},
	{ALERT_INT, "-5", "-5"},
	{ALERT_INT, "\"007\"", "7"},
	{ALERT_INT, "\"-0\"", "0"},
	{ALERT_INT, "1.5", NULL},
	{ALERT_INT, "\"1e3\"", NULL},
	{ALERT_INT, "true", NULL},
	{ALERT_HOST, "\"edge1.example.com:9100\"", "edge1.example.com"},
	{ALERT_HOST, "\"https://grafana.example/alerting?x=1\"", "grafana.example"},
	{ALERT_HOST, "\"[2001:db8::1]:9100\"", "2001:db8::1"},
	{ALERT_HOST, "\"2001:db8::1\"", "2001:db8::1"},
	{ALERT_HOST, "\"10.0.0.1:80\"", "10.0.0.1"},
	{ALERT_HOST, "\"a b\"", NULL},
	{ALERT_HOST, "\".*\"", NULL},
	{ALERT_HOST, "\"(a|b)\"", NULL},
	{ALERT_HOST, "\"[2001:db8::1\"", NULL},
	{ALERT_HOST, "\"[edge1]\"", NULL},
	{ALERT_TIME, "\"2026-12-01T10:00:00.123456+0100\"", "2026-12-01T09:00:00.123456000Z"},
	{ALERT_TIME, "\"2026-12-01 10:00:00Z\"", "2026-12-01T10:00:00.000000000Z"},
	{ALERT_TIME, "1764583200", "2025-12-01T10:00:00.000000000Z"},
	{ALERT_TIME, "\"1764583200.5\"", "2025-12-01T10:00:00.500000000Z"},
	{ALERT_TIME, "1764583200000", "2025-12-01T10:00:00.000000000Z"},
	{ALERT_TIME, "1764583200000000", "2025-12-01T10:00:00.000000000Z"},
	{ALERT_TIME, "1764583200000000000", "2025-12-01T10:00:00.000000000Z"},
	{ALERT_TIME, "\"0001-01-01T00:00:00Z\"", NULL},
	{ALERT_TIME, "\"now\"", NULL},
	{ALERT_TIME, "0", NULL},
	{ALERT_TIME, "-1", NULL},
	{ALERT_TIME, "true", NULL},
	{ALERT_TIME, "\"1.2.3\"", NULL},
	{ALERT_INTERFACE, "\"eth0.100@x\"", "eth0.100@x"},
	{ALERT_INTERFACE, "\"..\"", NULL},
	{ALERT_INTERFACE, "\"a/b\"", NULL},
	{ALERT_INTERFACE, "\"eth0 \"", NULL},
	{ALERT_INTERFACE, "\"\"", NULL},
	{ALERT_TEXT, "\"two\\nlines\\u202e\"", "two lines "},
	{ALERT_TEXT, "12", "12"},
	{ALERT_TEXT, "[1]", NULL},
};

static void test_a_type_prints_its_values_canonically_and_takes_no_others(void **state)
{
	char text[ALERT_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		const struct example *example = &examples[i];
		cleanup(cleanup_json) json_t *json = parsed(example->json);
		const int r = alert_value_print(example->type, json, text);

		if (r != (example->printed ? 0 : -EINVAL))
			fail_msg("%s as %s: %d, \"%s\"", example->json, alert_type_name(example->type), r,
				 r ? "" : text);
		if (example->printed && strcmp(text, example->printed) != 0)
			fail_msg("%s as %s is \"%s\", not \"%s\"", example->json, alert_type_name(example->type), text,
				 example->printed);
	}
}

static void test_types_have_names(void **state)
{
	(void)state;
	assert_int_equal(alert_type_find("ip"), ALERT_IP);
	assert_int_equal(alert_type_find("interface"), ALERT_INTERFACE);
	assert_int_equal(alert_type_find(""), ALERT_TYPE_NONE);
	assert_int_equal(alert_type_find("IP"), ALERT_TYPE_NONE);
}

static void test_long_text_is_cut_between_characters(void **state)
{
	char from[2 * ALERT_TEXT_SIZE], text[ALERT_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(from); i += 2)
		memcpy(from + i, "ä", 3);
	assert_int_equal(alert_value_print_text(ALERT_TEXT, from, text), 0);
	assert_int_equal(strlen(text), ALERT_TEXT_SIZE - 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_type_prints_its_values_canonically_and_takes_no_others),
		cmocka_unit_test(test_types_have_names),
		cmocka_unit_test(test_long_text_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
