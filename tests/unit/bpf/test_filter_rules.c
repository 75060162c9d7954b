/* SPDX-License-Identifier: BSD-2-Clause */
/* What rules need of filters: one that every packet must match as well, and names that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>

#include "base/packet.h"
#include "bpf/filter.h"
#include "packets.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int compile(const char *bpf, const char *inner, const char *required, struct error *err, struct filter **filter)
{
	const struct filter_options options = {.bpf = bpf,
					       .inner = inner,
					       .required = required,
					       .linktype = LINKTYPE_ETHERNET};
	const char *field;

	*filter = NULL;
	return filter_new(&options, err, &field, filter);
}

static bool accepts(const struct filter *filter, const struct packet *packet, uint32_t caplen)
{
	return !filter || filter_run(filter, packet->data, packet->size, caplen, PACKET_HOST);
}

/* The reference are the two filters by themselves. */
static void check_pair(const char *bpf, const char *required, size_t *both)
{
	struct filter *one, *other, *joined;
	struct error err;

	assert_int_equal(compile(bpf, NULL, NULL, &err, &one), 0);
	assert_int_equal(compile(required, NULL, NULL, &err, &other), 0);
	const int r = compile(bpf, NULL, required, &err, &joined);
	for (size_t i = 0; i < packet_count; i++) {
		const struct packet *packet = &packets[i];
		const uint32_t caplens[] = {packet->size, pick(packet->size + 1)};

		for (size_t k = 0; k < COUNT(caplens); k++) {
			const bool wanted = accepts(one, packet, caplens[k]) && accepts(other, packet, caplens[k]);

			if (wanted != (r == 0 && accepts(joined, packet, caplens[k])))
				fail_msg("\"%s\" with \"%s\": packet %zu, %u bytes of it", bpf, required, i,
					 caplens[k]);
			*both += wanted;
		}
	}
	if (r < 0) {
		assert_int_equal(r, -EINVAL);
		assert_string_equal(err.text, "bpf: no packet that matches it may be captured (requests.filter)");
	}
	filter_free(one);
	filter_free(other);
	filter_free(joined);
}

static void test_required_filter_is_anded_to_any_other(void **state)
{
	static const char *const expressions[] = {
		"",
		"tcp",
		"udp port 53",
		"vlan",
		"vlan 10 and tcp",
		"host 10.0.0.1 or host 10.0.0.2",
		"not ip6",
		"tcp[tcpflags] & tcp-syn != 0",
		"len > 100",
		"ip[0] & 0xf > 5",
		"ether broadcast or arp",
		"inbound",
		"portrange 22-80 or icmp",
		"less 20",
	};
	size_t both = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(expressions); i++)
		for (size_t k = 0; k < COUNT(expressions); k++)
			check_pair(expressions[i], expressions[k], &both);
	assert_true(both > 10000);
}

static void test_no_expression_breaks_out(void **state)
{
	static const char *const bad[] = {"udp) or (tcp", ") or (", "udp)", "(udp", "udp or", "or udp"};
	struct filter *filter;
	struct error err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(compile(bad[i], NULL, "tcp port 1", &err, &filter), -EINVAL);
		assert_int_equal(compile(NULL, bad[i], "tcp port 1", &err, &filter), -EINVAL);
	}
	assert_int_equal(compile("udp", NULL, "tcp port", &err, &filter), -EINVAL);
	assert_non_null(strstr(err.text, "requests.filter"));
}

static void test_required_filter_holds_for_tunnels_too(void **state)
{
	struct filter *filter;
	struct error err;
	uint8_t packet[14 + 20 + 8 + 8 + 14 + 20 + 8] = {[12] = 8, [14] = 0x45, [23] = 17, [36] = 0x12, [37] = 0xb5};

	(void)state;
	packet[42] = 8; /* VXLAN: the VNI is valid */
	memcpy(packet + 62, (const uint8_t[]){8, 0, 0x45}, 3);
	packet[73] = 17;
	assert_int_equal(compile(NULL, "udp", "udp dst port 4789", &err, &filter), 0);
	assert_true(filter_run(filter, packet, sizeof(packet), sizeof(packet), PACKET_HOST));
	filter_free(filter);
	assert_int_equal(compile(NULL, "udp", "udp src port 99", &err, &filter), 0);
	assert_false(filter_run(filter, packet, sizeof(packet), sizeof(packet), PACKET_HOST));
	filter_free(filter);
}

static void test_forbidden_names_are_refused_after_syntax_errors(void **state)
{
	static const struct {
		const char *bpf, *inner, *error;
		int code;
	} cases[] = {
		{"host www.example.org", NULL, "bpf: \"www.example.org\": host names are not looked up (rule)",
		 -EACCES},
		{NULL, "udp and host web", "inner: \"web\": host names are not looked up (rule)", -EACCES},
		{"udp prot 53", NULL, "bpf: syntax error near \"prot\": \"udp >>>prot<<< 53\"", -EINVAL},
		{"udp", "port http or net 10.0.0.0/8", "", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct filter_options options = {.bpf = cases[i].bpf,
						       .inner = cases[i].inner,
						       .no_names = "rule",
						       .linktype = LINKTYPE_ETHERNET};
		struct filter *filter = NULL;
		struct error err = {0};
		const char *field;

		assert_int_equal(filter_new(&options, &err, &field, &filter), cases[i].code);
		assert_string_equal(err.text, cases[i].error);
		filter_free(filter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_required_filter_is_anded_to_any_other),
		cmocka_unit_test(test_no_expression_breaks_out),
		cmocka_unit_test(test_required_filter_holds_for_tunnels_too),
		cmocka_unit_test(test_forbidden_names_are_refused_after_syntax_errors),
	};

	return cmocka_run_group_tests_name("filter_rules", tests, make_packets, NULL);
}
