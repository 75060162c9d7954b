/* SPDX-License-Identifier: BSD-2-Clause */
/* What an empty capture's event says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "job/empty_hint.h"

static const struct empty_hint_interface down[] = {
	{"eth0", INTERFACE_DOWN}, {"eth1", INTERFACE_NO_CARRIER}, {"eth2", INTERFACE_GONE},
	{"eth3", INTERFACE_DOWN}, {"eth4", INTERFACE_DOWN},	  {"eth5", INTERFACE_DOWN},
};

static void test_the_likeliest_cause_is_named(void **state)
{
	const struct {
		struct empty_hint hint;
		const char *text;
	} cases[] = {
		{{.bpf = "port 53", .seen = 72}, "no packet matched `port 53`; 72 others passed on eth0 in 2 s"},
		{{.inner = "port 53", .seen = 72}, "no packet matched `port 53`; 72 others passed on eth0 in 2 s"},
		{{.bpf = "port 53"}, "no packet passed on eth0 in 2 s"},
		{{.seen = 1}, "no packet passed on eth0 within the window of 2 s; 1 passed just before or after it"},
		{{.bpf = "port 53", .seen = 72, .interfaces = down, .interface_count = 1}, "eth0 is down"},
		{{.interfaces = down, .interface_count = 3}, "eth0 is down, eth1 has no carrier, eth2 is gone"},
		{{.interfaces = down, .interface_count = 6},
		 "eth0 is down, eth1 has no carrier, eth2 is gone, eth3 is down, and 2 more"},
		{{.retention_may_hide = true, .bpf = "port 53", .seen = 72},
		 "the recorder's own filter (history.filter) kept none, and decides what history can have"},
		{{.out_of_reach = true, .retention_may_hide = true},
		 "the recorder no longer holds anything of the requested window"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct empty_hint hint = cases[i].hint;
		char text[EMPTY_HINT_SIZE];

		hint.interface = "eth0";
		hint.from_ns = 5 * NS_PER_S;
		hint.to_ns = 7 * NS_PER_S + NS_PER_MS;
		assert_string_equal(empty_hint_text(&hint, text), cases[i].text);
	}
}

static void test_long_filters_and_names_are_cut(void **state)
{
	char filter[4097], name[256], text[EMPTY_HINT_SIZE];

	(void)state;
	memset(filter, 'f', sizeof(filter) - 1);
	filter[sizeof(filter) - 1] = '\0';
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	const struct empty_hint hint = {.interface = name, .bpf = filter, .seen = UINT64_MAX, .to_ns = UINT64_MAX};
	empty_hint_text(&hint, text);
	assert_true(strlen(text) < sizeof(text) - 1);
	assert_non_null(strstr(text, "others passed on nnn"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_likeliest_cause_is_named),
		cmocka_unit_test(test_long_filters_and_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
