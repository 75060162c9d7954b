/* SPDX-License-Identifier: BSD-2-Clause */
/* Each type parses strictly and prints what it has parsed, not what it was given. */
#include "alert/alert_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/utf8.h"

#define MAC_BYTES 6
#define HOST_MAX 253	  /* RFC 1035 */
#define INTERFACE_MAX 127 /* ALTIFNAMSIZ - 1 */

static const char *const names[] = {
	[ALERT_TEXT] = "text",	 [ALERT_IP] = "ip",
	[ALERT_CIDR] = "cidr",	 [ALERT_PORT] = "port",
	[ALERT_PROTO] = "proto", [ALERT_MAC] = "mac",
	[ALERT_INT] = "int",	 [ALERT_HOST] = "host",
	[ALERT_TIME] = "time",	 [ALERT_INTERFACE] = "interface",
};

/* What filters call them; numbers are IANA's. */
static const struct {
	const char *name;
	const char *printed;
	unsigned number; /* 0: none */
} protocols[] = {
	{"tcp", "tcp", 6},	{"udp", "udp", 17},	 {"icmp", "icmp", 1},
	{"icmp6", "icmp6", 58}, {"icmpv6", "icmp6", 58}, {"ipv6-icmp", "icmp6", 58},
	{"sctp", "sctp", 132},	{"igmp", "igmp", 2},	 {"esp", "esp", 50},
	{"ah", "ah", 51},	{"pim", "pim", 103},	 {"vrrp", "vrrp", 112},
	{"arp", "arp", 0},	{"ip", "ip", 0},	 {"ipv4", "ip", 0},
	{"ip6", "ip6", 0},	{"ipv6", "ip6", 0},
};

int alert_type_find(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return ALERT_TYPE_NONE;
}

const char *alert_type_name(enum alert_type type)
{
	return names[type];
}

/* --- numbers --- */

/* Digits only, up to `max`; false otherwise. */
static bool read_count(const char *from, uint64_t max, uint64_t *count)
{
	const size_t size = strlen(from);

	if (!size || size > 19 || strspn(from, "0123456789") != size)
		return false;
	*count = 0;
	for (size_t i = 0; i < size; i++)
		*count = *count * 10 + (uint64_t)(from[i] - '0');
	return *count <= max;
}

static int print_int(const char *from, char *text)
{
	const bool negative = *from == '-';
	uint64_t count;

	if (!read_count(from + negative, INT64_MAX, &count))
		return -EINVAL;
	snprintf(text, ALERT_TEXT_SIZE, "%s%" PRIu64, negative && count ? "-" : "", count);
	return 0;
}

static int print_port(const char *from, char *text)
{
	const char *colon = strrchr(from, ':');
	uint64_t port;

	if (!read_count(colon ? colon + 1 : from, UINT16_MAX, &port) || !port)
		return -EINVAL;
	snprintf(text, ALERT_TEXT_SIZE, "%" PRIu64, port);
	return 0;
}

static int print_protocol(const char *from, char *text)
{
	uint64_t number;
	const bool is_number = read_count(from, UINT8_MAX, &number);

	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
		if (is_number ? number && protocols[i].number == number : strcasecmp(protocols[i].name, from) == 0) {
			snprintf(text, ALERT_TEXT_SIZE, "%s", protocols[i].printed);
			return 0;
		}
	}
	return -EINVAL;
}

/* --- addresses --- */

struct address {
	int family;
	uint8_t bytes[sizeof(struct in6_addr)];
};

static bool read_address(const char *from, struct address *address)
{
	static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	address->family = AF_INET;
	if (inet_pton(AF_INET, from, address->bytes) == 1)
		return true;
	address->family = AF_INET6;
	if (inet_pton(AF_INET6, from, address->bytes) != 1)
		return false;
	if (memcmp(address->bytes, mapped, sizeof(mapped)) == 0) { /* on the wire it is IPv4 */
		memmove(address->bytes, address->bytes + sizeof(mapped), sizeof(struct in_addr));
		address->family = AF_INET;
	}
	return true;
}

static unsigned address_bits(const struct address *address)
{
	return address->family == AF_INET ? 32 : 128;
}

static int print_address(const char *from, char *text)
{
	struct address address;

	if (!read_address(from, &address))
		return -EINVAL;
	return inet_ntop(address.family, address.bytes, text, ALERT_TEXT_SIZE) ? 0 : -EINVAL;
}

static void clear_host_bits(struct address *address, unsigned prefix)
{
	for (unsigned bit = prefix; bit < address_bits(address); bit++)
		address->bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

/* "10.1.2.3/8" → "10.0.0.0/8"; an address alone is a network of one. */
static int print_network(const char *from, char *text)
{
	const char *slash = strchr(from, '/');
	char host[INET6_ADDRSTRLEN];
	const size_t size = slash ? (size_t)(slash - from) : strlen(from);
	struct address address;
	uint64_t prefix;

	if (size >= sizeof(host))
		return -EINVAL;
	memcpy(host, from, size);
	host[size] = '\0';
	if (!read_address(host, &address))
		return -EINVAL;
	prefix = address_bits(&address);
	if (slash && !read_count(slash + 1, address_bits(&address), &prefix))
		return -EINVAL;
	clear_host_bits(&address, (unsigned)prefix);
	if (!inet_ntop(address.family, address.bytes, host, sizeof(host)))
		return -EINVAL;
	snprintf(text, ALERT_TEXT_SIZE, "%s/%u", host, (unsigned)prefix);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "02:00:00:00:00:01", "02-00-00-00-00-01", "0200.0000.0001", "020000000001", "02 00 00 00 00 01 " (snmptrapd) */
static int print_mac(const char *from, char *text)
{
	uint8_t mac[MAC_BYTES];
	size_t digits = 0;

	for (; *from; from++) {
		const int digit = hex_digit(*from);

		if (digit < 0) {
			if (!strchr(":-. ", *from) || !digits || digits % 2)
				return -EINVAL;
			continue;
		}
		if (digits == 2 * MAC_BYTES)
			return -EINVAL;
		mac[digits / 2] = (uint8_t)(digits % 2 ? mac[digits / 2] | digit : digit << 4);
		digits++;
	}
	if (digits != 2 * MAC_BYTES)
		return -EINVAL;
	snprintf(text, ALERT_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	return 0;
}

/* --- names --- */

static bool is_host_name(const char *name)
{
	const size_t size = strlen(name);

	return size && size <= HOST_MAX && isalnum((unsigned char)*name) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

/* Cuts "scheme://" before, and "/path" and ":port" after; "[v6]:port" loses its brackets. */
static int print_host(const char *from, char *text)
{
	const char *scheme = strstr(from, "://");
	char host[HOST_MAX + 1];

	if (print_address(from, text) == 0)
		return 0;
	if (scheme)
		from = scheme + 3;
	const bool bracket = *from == '[';
	from += bracket;
	const size_t size = strcspn(from, bracket ? "]" : ":/");
	if (size >= sizeof(host) || (bracket && from[size] != ']'))
		return -EINVAL;
	memcpy(host, from, size);
	host[size] = '\0';
	if (print_address(host, text) == 0)
		return 0;
	if (bracket || !is_host_name(host))
		return -EINVAL;
	snprintf(text, ALERT_TEXT_SIZE, "%s", host);
	return 0;
}

/* What the kernel takes: no slash, white space or control character. */
static int print_interface(const char *from, char *text)
{
	const size_t size = strlen(from);

	if (!size || size > INTERFACE_MAX || strcmp(from, ".") == 0 || strcmp(from, "..") == 0)
		return -EINVAL;
	for (size_t i = 0, length; i < size; i += length) {
		uint32_t code;

		length = utf8_decode(from + i, size - i, &code);
		if (!length || code <= ' ' || code == '/' || utf8_is_unprintable(code))
			return -EINVAL;
	}
	memcpy(text, from, size + 1);
	return 0;
}

/* --- time --- */

/* Unix time in the unit that makes it fall between 1973 and 5138. */
static int scale_time(double number, uint64_t *realtime_ns)
{
	static const struct {
		double above, ns;
	} units[] = {{1e17, 1}, {1e14, 1e3}, {1e11, 1e6}, {0, 1e9}};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (number > units[i].above && number * units[i].ns < (double)INT64_MAX) {
			*realtime_ns = (uint64_t)(number * units[i].ns);
			return 0;
		}
	}
	return -EINVAL;
}

/* Suricata writes "+0000" for RFC 3339's "+00:00", others a space for its "T". */
static int read_date(const char *from, uint64_t *realtime_ns)
{
	char date[64];
	const size_t size = strlen(from);

	if (size + 2 > sizeof(date))
		return -EINVAL;
	memcpy(date, from, size + 1);
	if (size > 10 && date[10] == ' ')
		date[10] = 'T';
	if (size > 5 && strchr("+-", date[size - 5]) && strspn(date + size - 4, "0123456789") == 4) {
		memmove(date + size - 1, date + size - 2, 3);
		date[size - 2] = ':';
	}
	return clock_parse(date, realtime_ns);
}

static int read_time(const char *from, uint64_t *realtime_ns)
{
	char *end;

	if (!*from || strspn(from, "0123456789.") != strlen(from))
		return read_date(from, realtime_ns);
	const double number = strtod(from, &end);
	return *end ? -EINVAL : scale_time(number, realtime_ns);
}

int alert_value_time(const json_t *value, uint64_t *realtime_ns)
{
	if (json_is_string(value))
		return read_time(json_string_value(value), realtime_ns);
	if (json_is_integer(value) && json_integer_value(value) > 0 && json_integer_value(value) < 100000000000) {
		*realtime_ns = (uint64_t)json_integer_value(value) * NS_PER_S;
		return *realtime_ns < INT64_MAX ? 0 : -EINVAL;
	}
	return json_is_number(value) ? scale_time(json_number_value(value), realtime_ns) : -EINVAL;
}

static int print_time(const char *from, char *text)
{
	uint64_t realtime_ns;

	if (read_time(from, &realtime_ns) < 0)
		return -EINVAL;
	clock_format(realtime_ns, text);
	return 0;
}

/* --- text --- */

static int print_line(const char *from, char *text)
{
	const size_t size = utf8_cut(from, strlen(from), ALERT_TEXT_SIZE - 1);
	size_t used = 0;

	for (size_t i = 0, length; i < size; i += length) {
		uint32_t code = 0;

		length = utf8_decode(from + i, size - i, &code);
		if (!length || utf8_is_unprintable(code)) {
			text[used++] = ' ';
			length += !length;
		} else {
			memcpy(text + used, from + i, length);
			used += length;
		}
	}
	text[used] = '\0';
	return 0;
}

int alert_value_print_text(enum alert_type type, const char *from, char text[static ALERT_TEXT_SIZE])
{
	static int (*const print[])(const char *from, char *text) = {
		[ALERT_TEXT] = print_line,	[ALERT_IP] = print_address,
		[ALERT_CIDR] = print_network,	[ALERT_PORT] = print_port,
		[ALERT_PROTO] = print_protocol, [ALERT_MAC] = print_mac,
		[ALERT_INT] = print_int,	[ALERT_HOST] = print_host,
		[ALERT_TIME] = print_time,	[ALERT_INTERFACE] = print_interface,
	};

	return print[type](from, text);
}

int alert_value_print(enum alert_type type, const json_t *value, char text[static ALERT_TEXT_SIZE])
{
	char from[ALERT_TEXT_SIZE];
	uint64_t realtime_ns;

	if (type == ALERT_TIME) {
		if (alert_value_time(value, &realtime_ns) < 0)
			return -EINVAL;
		clock_format(realtime_ns, text);
		return 0;
	}
	if (type == ALERT_TEXT && json_is_string(value)) /* may be longer */
		return strlen(json_string_value(value)) == json_string_length(value)
			       ? print_line(json_string_value(value), text)
			       : -EINVAL;
	return alert_value_text(value, from) ? alert_value_print_text(type, from, text) : -EINVAL;
}
