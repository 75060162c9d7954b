/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terms are joined as pcap-filter does: "and" and "or" bind equally, from the left. A term is a display filter that
 * every packet of the term fulfils, or "anything" (NULL), where there is none:
 *
 *     A and B:  what is known of either          A or B:  anything, unless both are known
 *     not A:    anything, since what is known of A may hold for others as well
 *
 * Known are addresses and the protocols named by a link's or an IPv4 header's own field. Ports, TCP and UDP are not:
 * Wireshark shows a fragment as one only once it has all fragments. It looks into tunnels and quoted packets as well,
 * so it may show more than the filter takes, never less.
 */
#include "sink/display_filter.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64
#define DEPTH_MAX 32

struct reader {
	const char *at;
	char word[WORD_MAX]; /* the next one; "": the end */
	unsigned depth;
	bool unknown; /* the expression has a part that is not known here, or memory is short */
};

static char *read_expression(struct reader *reader);

/* --- words --- */

static void next(struct reader *reader)
{
	size_t size = 0;

	while (isspace((unsigned char)*reader->at))
		reader->at++;
	if (*reader->at == '(' || *reader->at == ')' || *reader->at == '!')
		size = 1;
	else if (strncmp(reader->at, "&&", 2) == 0 || strncmp(reader->at, "||", 2) == 0)
		size = 2;
	else
		while (isalnum((unsigned char)reader->at[size]) ||
		       (reader->at[size] && strchr("._:/-", reader->at[size])))
			size++;
	if (size >= WORD_MAX || (size == 0 && *reader->at)) {
		reader->unknown = true;
		size = 0;
	}
	memcpy(reader->word, reader->at, size);
	reader->word[size] = '\0';
	reader->at += size;
}

static bool is_word(const struct reader *reader, const char *word)
{
	return strcmp(reader->word, word) == 0;
}

static bool take_word(struct reader *reader, const char *word)
{
	if (!is_word(reader, word))
		return false;
	next(reader);
	return true;
}

static char *give_up(struct reader *reader)
{
	reader->unknown = true;
	return NULL;
}

/* --- addresses --- */

enum family { FAMILY_NONE, FAMILY_IPV4, FAMILY_IPV6 };

/* Of a numeric address; with `net`, of an address and a prefix length. */
static enum family family_of(const char *text, bool net)
{
	char address[WORD_MAX], *slash, binary[sizeof(struct in6_addr)];

	snprintf(address, sizeof(address), "%s", text);
	slash = strchr(address, '/');
	if (!slash != !net ||
	    (slash && (!isdigit((unsigned char)slash[1]) || strspn(slash + 1, "0123456789") != strlen(slash + 1))))
		return FAMILY_NONE;
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, address, binary) == 1)
		return FAMILY_IPV4;
	return inet_pton(AF_INET6, address, binary) == 1 ? FAMILY_IPV6 : FAMILY_NONE;
}

static char *join(struct reader *reader, const char *a, const char *operator, const char * b)
{
	char *text = NULL;

	if (asprintf(&text, "(%s %s %s)", a, operator, b) < 0)
		return give_up(reader);
	return text;
}

static char *compare(struct reader *reader, const char *field, const char *value)
{
	char *text = NULL;

	if (asprintf(&text, "%s == %s", field, value) < 0)
		return give_up(reader);
	return text;
}

enum direction { DIRECTION_ANY, DIRECTION_SOURCE, DIRECTION_DESTINATION };

static char *arp_term(struct reader *reader, enum direction direction, const char *value)
{
	cleanup(cleanup_free) char *source = compare(reader, "arp.src.proto_ipv4", value);
	cleanup(cleanup_free) char *destination = compare(reader, "arp.dst.proto_ipv4", value);

	if (!source || !destination)
		return NULL;
	if (direction == DIRECTION_ANY)
		return join(reader, source, "||", destination);
	return direction == DIRECTION_SOURCE ? take(source) : take(destination);
}

/* The word is the address. `protocol`: "" or one of "ip", "ip6", "arp". */
static char *address_term(struct reader *reader, const char *protocol, enum direction direction, bool net)
{
	static const char *const fields[][3] = {
		[FAMILY_IPV4] = {"ip.addr", "ip.src", "ip.dst"},
		[FAMILY_IPV6] = {"ipv6.addr", "ipv6.src", "ipv6.dst"},
	};
	const enum family family = family_of(reader->word, net);

	if (family == FAMILY_NONE) /* a name, or a network in another form */
		return NULL;
	if (strcmp(protocol, "arp") == 0)
		return family == FAMILY_IPV4 ? arp_term(reader, direction, reader->word) : NULL;
	cleanup(cleanup_free) char *ip = compare(reader, fields[family][direction], reader->word);
	if (!ip || family == FAMILY_IPV6 || *protocol)
		return take(ip);
	cleanup(cleanup_free) char *arp = arp_term(reader, direction, reader->word);
	return arp ? join(reader, ip, "||", arp) : NULL;
}

/* --- terms --- */

struct protocol {
	const char *name, *display; /* display NULL: anything */
	bool has_addresses, has_ports;
};

static const struct protocol *take_protocol(struct reader *reader)
{
	static const struct protocol protocols[] = {
		{"ip", "ip", true, false},
		{"ip6", "ipv6", true, false},
		{"arp", "arp", true, false},
		{"icmp", "ip.proto == 1", false, false},
		{"igmp", "ip.proto == 2", false, false},
		{"tcp", NULL, false, true},
		{"udp", NULL, false, true},
		{"sctp", NULL, false, true},
		{"icmp6", NULL, false, false},
	};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (take_word(reader, protocols[i].name))
			return &protocols[i];
	return NULL;
}

static enum direction take_direction(struct reader *reader)
{
	if (take_word(reader, "src"))
		return DIRECTION_SOURCE;
	return take_word(reader, "dst") ? DIRECTION_DESTINATION : DIRECTION_ANY;
}

/* The value after "host", "net", "port" or "portrange". */
static char *read_value(struct reader *reader, const struct protocol *protocol, enum direction direction)
{
	const bool net = is_word(reader, "net"), host = is_word(reader, "host");
	char *term = NULL;

	next(reader);
	if (!reader->word[0] || !isalnum((unsigned char)reader->word[0]) ||
	    (host || net ? protocol && !protocol->has_addresses : protocol && !protocol->has_ports))
		return give_up(reader);
	if (host || net)
		term = address_term(reader, protocol ? protocol->name : "", direction, net);
	next(reader);
	return term;
}

static bool begins_value(const struct reader *reader)
{
	return is_word(reader, "host") || is_word(reader, "net") || is_word(reader, "port") ||
	       is_word(reader, "portrange");
}

static char *read_primitive(struct reader *reader)
{
	const struct protocol *protocol = take_protocol(reader);
	const enum direction direction = take_direction(reader);
	char *term;

	if (begins_value(reader))
		return read_value(reader, protocol, direction);
	if (!protocol || direction != DIRECTION_ANY)
		return give_up(reader);
	term = protocol->display ? strdup(protocol->display) : NULL;
	return term || !protocol->display ? term : give_up(reader);
}

static char *read_term(struct reader *reader)
{
	cleanup(cleanup_free) char *term = NULL;

	if (++reader->depth > DEPTH_MAX)
		return give_up(reader);
	if (take_word(reader, "not") || take_word(reader, "!")) {
		free(read_term(reader));
	} else if (take_word(reader, "(")) {
		term = read_expression(reader);
		if (!take_word(reader, ")"))
			reader->unknown = true;
	} else {
		term = read_primitive(reader);
	}
	reader->depth--;
	return take(term);
}

static char *read_expression(struct reader *reader)
{
	cleanup(cleanup_free) char *left = read_term(reader);

	while (!reader->unknown) {
		const bool both = take_word(reader, "and") || take_word(reader, "&&");

		if (!both && !take_word(reader, "or") && !take_word(reader, "||"))
			break;
		cleanup(cleanup_free) char *before = take(left), *right = read_term(reader);
		if (before && right)
			left = join(reader, before, both ? "&&" : "||", right);
		else if (both)
			left = before ? take(before) : take(right);
	}
	return take(left);
}

char *display_filter_from_capture(const char *capture_filter)
{
	struct reader reader = {.at = capture_filter};
	cleanup(cleanup_free) char *text = NULL;

	next(&reader);
	text = read_expression(&reader);
	return reader.unknown || reader.word[0] || *reader.at ? NULL : take(text);
}
