/* SPDX-License-Identifier: BSD-2-Clause */
/* libpcap is the reference: its look-ups are replaced by ones that count, and know no name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/packet.h"
#include "bpf/filter.h"
#include "bpf/filter_names.h"
#include "bpf/filter_syntax.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define EXPRESSIONS 20000
#define EXPRESSION_SIZE 256
#define PIECES_MAX 10

static unsigned asked;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	(void)service;
	(void)result;
	asked += name && !(hints->ai_flags & AI_NUMERICHOST);
	return EAI_NONAME;
}

int getnetbyname_r(const char *name, struct netent *buffer, char *text, size_t size, struct netent **result, int *error)
{
	(void)name;
	(void)buffer;
	(void)text;
	(void)size;
	(void)error;
	asked++;
	*result = NULL;
	return 0;
}

int ether_hostton(const char *name, struct ether_addr *address)
{
	(void)name;
	(void)address;
	asked++;
	return -1;
}

/* Whether libpcap looks up a host or network. */
static bool libpcap_asks(const char *expression, int dlt)
{
	pcap_t *pcap = pcap_open_dead(dlt, PACKET_SNAPLEN_MAX);
	struct bpf_program program;

	assert_non_null(pcap);
	asked = 0;
	if (pcap_compile(pcap, &program, expression, 0, 0xffffff00) == 0)
		pcap_freecode(&program);
	pcap_close(pcap);
	return asked > 0;
}

static void test_host_names_are_found(void **state)
{
	static const char *const cases[][2] = {
		{"host www.example.org", "www.example.org"},
		{"www.example.org", "www.example.org"},
		{"host 1.slow.example", "1.slow.example"},
		{"host 1.2.3.4.5", "1.2.3.4.5"},
		{"src net backbone", "backbone"},
		{"tcp port http and host web1", "web1"},
		{"port http or tcp web1", "web1"},
		{"port 80 and (src db or dst 10.0.0.1)", "db"},
		{"ether host printer", "printer"},
		{"gateway router", "router"},
		{"udp and not 10.0.0.1 and not x", "x"},
		{"0xg", "0xg"},
		{"dead.beef.1234.5678", "dead.beef.1234.5678"},
		{"host 10.0.0.1-2", "10.0.0.1-2"},
		{"host TCP", "TCP"},
		{"host tcp-x.example", "tcp-x.example"},
		{"host icmp6-x", "icmp6-x"},
		{"host \\tcp", "\\tcp"},
		{"host web:x", "web"},
		{"host dead.beef:1", "dead.beef"},
		{"host ab.ac.be", "ab.ac.be"},
		{"host fe80::1or evil", "evil"},
		{"wlan addr1 web1", "web1"},
		{"port ssh and host x_1", "x_1"},
		{"on eth0 and host eth1", "eth1"},
		{NULL, NULL},
		{"", NULL},
		{"port http or https or domain", NULL},
		{"tcp src port ssh and not dst port 80", NULL},
		{"portrange ftp-data-ftp", NULL},
		{"ip proto ospf", NULL},
		{"ip proto \\icmp", NULL},
		{"ip6 protochain 6", NULL},
		{"host 10.0.0.1 or net 10.0.0.0/8 or net 10.1", NULL},
		{"net 10.0.0.0 mask 255.0.0.0", NULL},
		{"host fe80::1 or ether host 02:00:00:00:00:01", NULL},
		{"ether host 02-00-00-00-00-01 or ether host 0200.0000.0001", NULL},
		{"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", NULL},
		{"ip[6:2] & 0x1fff = 0 and len>=60", NULL},
		{"vlan 10 and icmp[icmptype] = icmp-echo", NULL},
		{"inbound and less 100", NULL},
		{"wlan type mgt subtype beacon and wlan dir nods", NULL},
		{"llc s or ifname eth0", NULL},
		{"ifindex 5 and icmp[0] = icmp-echo", NULL},
		{"ether host 020000000001 or ether dst 2.0.0.0.0.1", NULL},
		{"host 0xa.0.0.1 or ::ffff:10.0.0.1 or 1::", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char found[64];
		size_t length;
		const char *name = filter_find_host_name(cases[i][0], &length);

		snprintf(found, sizeof(found), "%.*s", name ? (int)length : 0, name ? name : "");
		if (strcmp(found, cases[i][1] ? cases[i][1] : "") != 0)
			fail_msg("\"%s\": found \"%s\"", cases[i][0], found);
		if (cases[i][0] && !name && libpcap_asks(cases[i][0], DLT_EN10MB))
			fail_msg("\"%s\": libpcap asks", cases[i][0]);
	}
}

static void test_names_of_files_are_found_too(void **state)
{
	static const char *const names[] = {
		"port http", "portrange 1-http", "ip proto ospf", "ip proto \\icmp", "tcp and port 4you", "host gre",
	};
	static const char *const others[] = {
		"",
		"portrange 1-2 or port 53",
		"portrange 1-2 or 3-4",
		"len <= 100 and greater 10",
		"tcp[0] - 1 > 2",
		"ip[0x2:2] > 0x10 and ether[0] & 1 = 0",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		if (!filter_may_resolve_names(names[i]))
			fail_msg("%s has a name", names[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		if (filter_may_resolve_names(others[i]))
			fail_msg("%s has no name", others[i]);
	assert_false(filter_may_resolve_names(NULL));
}

/* Pieces of words and whole ones, with and without space between them. */
static void make_expression(char text[static EXPRESSION_SIZE])
{
	static const char *const pieces[] = {
		"host",
		"net",
		"port",
		"portrange",
		"proto",
		"src",
		"dst",
		"ether",
		"tcp",
		"ip",
		"ip6",
		"gateway",
		"and",
		"or",
		"not",
		"(",
		")",
		"[",
		"]",
		"&&",
		"||",
		"!",
		"=",
		"wlan",
		"addr1",
		"type",
		"mgt",
		"llc",
		"on",
		"eth0",
		"inbound",
		"len",
		"10",
		"0x1f",
		"10.0.0.1",
		"10.1",
		"1.2.3.4.5",
		"fe80::1",
		"::",
		"1::",
		"a:b:c",
		"1:2:3:4:5:6",
		":",
		"-",
		".",
		"_",
		"1-2",
		"1-2-3-4-5-6",
		"ab.ac.be",
		"dead.beef.cafe",
		"deadbeefcafe",
		"TCP",
		"tcp-syn",
		"tcp-x",
		"icmp-echo",
		"web.example",
		"1.slow",
		"\\tcp",
		"\\",
		"$1a",
		"$",
		"/",
		"mask",
		"http",
		"x",
		"6",
		"\r",
		"\v",
		"\xc3\xa4",
		"::1.2.3.4",
		"proto \\tcp",
		"vlan",
	};
	size_t used = 0;

	for (long left = 1 + random() % PIECES_MAX; left; left--)
		used += (size_t)snprintf(text + used, EXPRESSION_SIZE - used, "%s%s", random() % 4 ? " " : "",
					 pieces[(size_t)random() % COUNT(pieces)]);
}

static void test_no_name_that_libpcap_looks_up_is_missed(void **state)
{
	static const int dlts[] = {DLT_EN10MB, DLT_IEEE802_11_RADIO};
	char expression[EXPRESSION_SIZE];
	unsigned names = 0, lookups = 0;
	struct error err;
	size_t length;

	(void)state;
	srandom(11);
	for (unsigned i = 0; i < EXPRESSIONS; i++) {
		make_expression(expression);
		const bool found = filter_find_host_name(expression, &length);
		const bool asks = libpcap_asks(expression, dlts[i % COUNT(dlts)]);

		if (asks && !found)
			fail_msg("\"%s\": libpcap looks a name up", expression);
		names += found;
		lookups += asks;
		asked = 0;
		(void)!filter_check_syntax(expression, &err);
		if (asked)
			fail_msg("\"%s\": the check of its syntax looks a name up", expression);
	}
	assert_true(lookups > EXPRESSIONS / 100);
	assert_true(names < EXPRESSIONS * 9 / 10);
}

static void test_forbidden_names_are_never_looked_up(void **state)
{
	static const char *const expressions[] = {
		"host 1.slow.example", "host TCP",	"host tcp-x.example", "host \\tcp",
		"host dead.beef:1",    "host ab.ac.be", "net fe80::1or evil", "udp and x or",
		"wlan addr1 web1",     "host evil:x",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(expressions); i++) {
		const struct filter_options options[] = {
			{.bpf = expressions[i], .no_names = "rule", .linktype = LINKTYPE_ETHERNET},
			{.inner = expressions[i], .no_names = "rule", .linktype = LINKTYPE_ETHERNET},
		};

		for (size_t k = 0; k < COUNT(options); k++) {
			struct filter *filter = NULL;
			const char *field;
			struct error err;

			asked = 0;
			assert_true(filter_new(&options[k], &err, &field, &filter) < 0);
			if (asked)
				fail_msg("\"%s\" is looked up", expressions[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_names_are_found),
		cmocka_unit_test(test_names_of_files_are_found_too),
		cmocka_unit_test(test_no_name_that_libpcap_looks_up_is_missed),
		cmocka_unit_test(test_forbidden_names_are_never_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
