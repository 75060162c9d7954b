/* SPDX-License-Identifier: BSD-2-Clause */
/* Random filter expressions that need no names. They fit the packets of packets.h, so that many match some of them. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPRESSION_MAX 4000

/* Returns a number below its argument. */
typedef uint32_t choose_fn(uint32_t below);

struct expression {
	char text[EXPRESSION_MAX + 1];
	size_t length;
	choose_fn *choose;
};

static inline void append_text(struct expression *expression, const char *text)
{
	const size_t length = strlen(text);

	if (expression->length + length > EXPRESSION_MAX)
		return;
	memcpy(expression->text + expression->length, text, length + 1);
	expression->length += length;
}

static inline void append_number(struct expression *expression, uint32_t number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	append_text(expression, text);
}

static inline void append_choice(struct expression *expression, const char *const *choices, uint32_t count)
{
	append_text(expression, choices[expression->choose(count)]);
}

#define APPEND_ONE_OF(expression, ...)                                                                 \
	do {                                                                                           \
		static const char *const choices_[] = {__VA_ARGS__};                                   \
		append_choice(expression, choices_, (uint32_t)(sizeof(choices_) / sizeof(*choices_))); \
	} while (0)

static inline void append_arithmetic(struct expression *expression, unsigned depth)
{
	switch (expression->choose(depth ? 6 : 3)) {
	case 0:
		append_number(expression, expression->choose(4) ? expression->choose(7) : expression->choose(70000));
		return;
	case 1:
		APPEND_ONE_OF(expression, "ip[", "tcp[", "udp[", "ether[", "ip6[", "icmp[");
		append_number(expression, expression->choose(20));
		APPEND_ONE_OF(expression, "]", ":2]", ":4]");
		return;
	case 2:
		APPEND_ONE_OF(expression, "len", "1", "0", "0xf", "255", "0xffffffff");
		return;
	case 3:
		append_text(expression, "ether[");
		append_arithmetic(expression, depth - 1);
		append_text(expression, "]");
		return;
	default:
		append_text(expression, "(");
		append_arithmetic(expression, depth - 1);
		APPEND_ONE_OF(expression, "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>");
		append_arithmetic(expression, depth - 1);
		append_text(expression, ")");
	}
}

static inline void append_primitive(struct expression *expression)
{
	switch (expression->choose(9)) {
	case 0:
		APPEND_ONE_OF(expression, "", "src ", "dst ");
		APPEND_ONE_OF(expression, "host 10.0.0.1", "host 10.0.0.2", "host 10.0.0.3", "net 10.0.0.0/30",
			      "net 10.0.0.0/31", "host fe80::1");
		return;
	case 1:
		APPEND_ONE_OF(expression, "", "tcp ", "udp ", "sctp ");
		APPEND_ONE_OF(expression, "", "src ", "dst ");
		APPEND_ONE_OF(expression, "port 53", "port 80", "port 443", "port 22", "portrange 22-80",
			      "portrange 80-8080");
		return;
	case 2:
		APPEND_ONE_OF(expression, "ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp", "icmp6", "igmp", "vlan",
			      "vlan 10", "mpls", "ip proto 47", "ip6 proto 58", "geneve", "pppoes");
		return;
	case 3:
		APPEND_ONE_OF(expression, "less 90", "greater 100", "len > 60", "len <= 64", "len = 100",
			      "ether multicast", "ip multicast", "ether broadcast", "ether host 2:0:0:0:0:1",
			      "ether proto 0x88cc", "inbound", "outbound");
		return;
	case 4:
		APPEND_ONE_OF(expression, "tcp[tcpflags] & tcp-syn != 0", "tcp[13] & 3 = 1", "ip[0] & 0xf > 5",
			      "ip[6:2] & 0x1fff != 0", "tcp[((tcp[12]&0xf0)>>2):4] = 0x47455420",
			      "ip[8] >= 64 and ip[8] < 65", "ether[0] & 1 != 0");
		return;
	case 5:
		append_arithmetic(expression, 2);
		APPEND_ONE_OF(expression, " = ", " != ", " > ", " >= ", " < ", " <= ");
		append_arithmetic(expression, 2);
		return;
	default:
		APPEND_ONE_OF(expression, "host 10.0.0.1", "host 10.0.0.2", "port 80", "port 53", "icmp", "tcp", "ip");
	}
}

static inline void append_expression(struct expression *expression, unsigned depth)
{
	if (!depth || !expression->choose(3)) {
		append_primitive(expression);
		return;
	}
	if (!expression->choose(3))
		append_text(expression, "not ");
	append_text(expression, "(");
	append_expression(expression, depth - 1);
	for (uint32_t terms = 1 + expression->choose(3); terms; terms--) {
		APPEND_ONE_OF(expression, " and ", " or ", " and not ", " or not ");
		append_expression(expression, depth - 1);
	}
	append_text(expression, ")");
}
