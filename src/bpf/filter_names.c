/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libpcap's scanner (scanner.l, 1.10) takes the longest match, and of equal ones numbers, addresses and keywords before
 * names. Keywords are lower case. So "1.slow.example", "1.2.3.4.5", "TCP" and "tcp-x" are names; "fe80::1or" is an
 * address and a keyword. Words that only some versions know are names here. An address may be taken for shorter than it
 * is to libpcap (an IPv4 part in hexadecimal), never for longer, so that no name is taken for a part of one.
 *
 * What a name stands for is decided by the last qualifier, also through "and", "or", "not" and brackets (grammar.y,
 * gencode.h, `struct qual`). After a few keywords a word is compared with a table of libpcap's.
 */
#include "bpf/filter_names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "bpf/filter.h"

#define DIGITS "0123456789"
#define HEX DIGITS "abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define QUAD_NUMBERS 4

/* Each with a space after it. */
static const char keywords[] =
	"dst src link ether ppp slip fddi tr wlan arp rarp ip sctp tcp udp icmp igmp igrp pim vrrp carp radio "
	"ip6 icmp6 ah esp atalk aarp decnet lat sca moprc mopdl iso esis es-is isis is-is l1 l2 iih lsp snp "
	"csnp psnp clnp stp ipx netbeui host net mask port portrange proto protochain gateway type subtype "
	"direction dir address1 addr1 address2 addr2 address3 addr3 address4 addr4 ra ta less greater byte "
	"broadcast multicast and or not len length inbound outbound ifindex vlan mpls pppoed pppoes geneve "
	"lane llc metac bcc oam oamf4 oamf4ec oamf4sc sc ilmic vpi vci connectmsg metaconnect on ifname rset "
	"ruleset rnr rulenum srnr subrulenum reason action fisu lssu lsu msu hfisu hlssu hmsu sio opc dpc sls "
	"hsio hopc hdpc hsls icmptype icmpcode icmp-echoreply icmp-unreach icmp-sourcequench icmp-redirect "
	"icmp-echo icmp-routeradvert icmp-routersolicit icmp-timxceed icmp-paramprob icmp-tstamp "
	"icmp-tstampreply icmp-ireq icmp-ireqreply icmp-maskreq icmp-maskreply icmp6type icmp6code "
	"icmp6-destinationunreach icmp6-packettoobig icmp6-timeexceeded icmp6-parameterproblem icmp6-echo "
	"icmp6-echoreply icmp6-multicastlistenerquery icmp6-multicastlistenerreportv1 "
	"icmp6-multicastlistenerdone icmp6-routersolicit icmp6-routeradvert icmp6-neighborsolicit "
	"icmp6-neighboradvert icmp6-redirect icmp6-routerrenum icmp6-nodeinformationquery "
	"icmp6-nodeinformationresponse icmp6-ineighbordiscoverysolicit icmp6-ineighbordiscoveryadvert "
	"icmp6-multicastlistenerreportv2 icmp6-homeagentdiscoveryrequest icmp6-homeagentdiscoveryreply "
	"icmp6-mobileprefixsolicit icmp6-mobileprefixadvert icmp6-certpathsolicit icmp6-certpathadvert "
	"icmp6-multicastrouteradvert icmp6-multicastroutersolicit icmp6-multicastrouterterm tcpflags tcp-fin "
	"tcp-syn tcp-rst tcp-push tcp-ack tcp-urg tcp-ece tcp-cwr ";

static bool is_one_of(const char *word, size_t length, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == length && memcmp(*list, word, length) == 0)
			return true;
	return false;
}

/* --- numbers and addresses --- */

/* [0-9]+ or 0x[0-9A-Fa-f]+ */
static bool is_number(const char *text, size_t length)
{
	const bool hexadecimal = length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');

	for (size_t i = hexadecimal ? 2 : 0; i < length; i++)
		if (hexadecimal ? !isxdigit((unsigned char)text[i]) : !isdigit((unsigned char)text[i]))
			return false;
	return length > 0;
}

/* From `min` to `max` hexadecimal digits. */
static bool is_hex(const char *text, size_t length, size_t min, size_t max)
{
	for (size_t i = 0; i < length; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	return length >= min && length <= max;
}

/* The number of parts between separators, each a number (`max` 0) or hexadecimal; 0: one is not. */
static unsigned count_parts(const char *word, size_t length, char separator, size_t min, size_t max)
{
	unsigned parts = 0;

	for (size_t at = 0; at <= length; parts++) {
		const char *end = memchr(word + at, separator, length - at);
		const size_t size = end ? (size_t)(end - word) - at : length - at;

		if (max ? !is_hex(word + at, size, min, max) : !is_number(word + at, size))
			return 0;
		at += size + 1;
	}
	return parts;
}

/* Numbers, IPv4 addresses and nets, hardware addresses without colons, ranges of ports. */
static bool is_numeric(const char *word, size_t length, enum filter_word names)
{
	const unsigned numbers = count_parts(word, length, '.', 0, 0);

	if (names == FILTER_WORD_PORT_RANGE && count_parts(word, length, '-', 0, 0) == 2)
		return true;
	return (numbers >= 1 && numbers <= QUAD_NUMBERS) || count_parts(word, length, '.', 1, 2) == 6 ||
	       count_parts(word, length, '-', 1, 2) == 6 || count_parts(word, length, '.', 4, 4) == 3 ||
	       is_hex(word, length, 12, 12);
}

static size_t ipv6_length(const char *at)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t length = strspn(at, HEX ":.");

	if (length >= sizeof(text))
		length = sizeof(text) - 1;
	memcpy(text, at, length);
	for (; length; length--) {
		text[length] = '\0';
		if (inet_pton(AF_INET6, text, &address) == 1)
			break;
	}
	return length;
}

/* Six pairs with colons between them; or what libpcap refuses as a bad hardware address: pairs, each with colons. */
static size_t hardware_address_length(const char *at)
{
	size_t length = 0, bad = 0;
	bool single = true;

	for (unsigned pairs = 1;; pairs++) {
		const size_t digits = strspn(at + length, HEX);

		length += digits < 2 ? digits : 2;
		if (digits && pairs == 6 && single)
			bad = length;
		const size_t colons = digits ? strspn(at + length, ":") : 0;
		if (!colons)
			return bad;
		single &= colons == 1;
		length += colons;
		bad = pairs > 1 ? length : bad;
	}
}

static size_t address_length(const char *at)
{
	const size_t ipv6 = ipv6_length(at), hardware = hardware_address_length(at);

	return ipv6 > hardware ? ipv6 : hardware;
}

/* --- words --- */

/* [A-Za-z0-9]([-_.A-Za-z0-9]*[.A-Za-z0-9])? */
static size_t name_length(const char *at)
{
	size_t length = isalnum((unsigned char)*at) ? strspn(at, LETTERS DIGITS "-_.") : 0;

	while (length && (at[length - 1] == '-' || at[length - 1] == '_'))
		length--;
	return length;
}

static size_t symbol_length(const char *at)
{
	static const char *const pairs[] = {"&&", "||", "<=", ">=", "!=", "==", "<<", ">>"};
	size_t length = 1;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (strncmp(at, pairs[i], 2) == 0)
			return 2;
	while (((unsigned char)at[length] & 0xc0) == 0x80) /* the rest of a UTF-8 character */
		length++;
	return length;
}

static bool is_keyword(const char *word, size_t length)
{
	for (const char *at = keywords; *at;) {
		const size_t size = strcspn(at, " ");

		if (size == length && memcmp(at, word, length) == 0)
			return true;
		at += size + 1;
	}
	return false;
}

/* What names are after the keyword. */
static void note_keyword(struct filter_scanner *scanner)
{
	static const char *const joints[] = {"and", "or", "not", NULL};
	static const char *const before_plain[] = {"on",   "ifname",  "rset", "ruleset",   "reason", "action",
						   "type", "subtype", "dir",  "direction", "llc",    NULL};

	scanner->plain = is_one_of(scanner->word, scanner->length, before_plain);
	if (is_one_of(scanner->word, scanner->length, joints))
		return;
	if (filter_scan_is(scanner, "port"))
		scanner->names = FILTER_WORD_PORT;
	else if (filter_scan_is(scanner, "portrange"))
		scanner->names = FILTER_WORD_PORT_RANGE;
	else if (filter_scan_is(scanner, "proto") || filter_scan_is(scanner, "protochain"))
		scanner->names = FILTER_WORD_PROTOCOL;
	else
		scanner->names = FILTER_WORD_HOST;
}

struct filter_scanner filter_scan(const char *expression)
{
	return (struct filter_scanner){.word = expression, .names = FILTER_WORD_HOST};
}

bool filter_scan_next(struct filter_scanner *scanner)
{
	const char *at = scanner->word + scanner->length;
	const enum filter_word name = scanner->plain ? FILTER_WORD_PLAIN : scanner->names;

	at += strspn(at, " \r\n\t");
	scanner->word = at;
	scanner->plain = false;
	const size_t length = name_length(at), address = address_length(at);
	const size_t quoted = *at == '\\' ? strcspn(at + 1, " !()\n\t") : 0; /* a name, also of a keyword's letters */

	if (address > length) {
		scanner->kind = FILTER_WORD_NUMBER;
		scanner->length = address;
	} else if (length) {
		scanner->length = length;
		if (is_numeric(at, length, scanner->names)) {
			scanner->kind = FILTER_WORD_NUMBER;
		} else if (is_keyword(at, length)) {
			scanner->kind = FILTER_WORD_KEYWORD;
			note_keyword(scanner);
		} else {
			scanner->kind = name;
		}
	} else if (quoted) {
		scanner->kind = name;
		scanner->length = quoted + 1;
	} else if (*at == '$' && isxdigit((unsigned char)at[1])) { /* an ARCnet address */
		scanner->kind = FILTER_WORD_NUMBER;
		scanner->length = isxdigit((unsigned char)at[2]) ? 3 : 2;
	} else {
		scanner->kind = FILTER_WORD_SYMBOL;
		scanner->length = *at ? symbol_length(at) : 0;
	}
	return scanner->length > 0;
}

bool filter_scan_is(const struct filter_scanner *scanner, const char *word)
{
	return strlen(word) == scanner->length && memcmp(word, scanner->word, scanner->length) == 0;
}

const char *filter_find_host_name(const char *expression, size_t *length)
{
	struct filter_scanner scanner = filter_scan(expression ? expression : "");

	while (filter_scan_next(&scanner)) {
		if (scanner.kind == FILTER_WORD_HOST) {
			*length = scanner.length;
			return scanner.word;
		}
	}
	return NULL;
}

bool filter_may_resolve_names(const char *expression)
{
	struct filter_scanner scanner = filter_scan(expression ? expression : "");

	while (filter_scan_next(&scanner))
		if (scanner.kind >= FILTER_WORD_HOST)
			return true;
	return false;
}
