/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 3986 as far as needed. Splits from the left: scheme, authority (up to the first "/" or "?"), path, query. Parts
 * are percent-decoded after splitting, so that a password may hold any character. Works on a copy, which is wiped.
 */
#include "pcapctl/fleet/redis_url.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/printable.h"
#include "base/suggest.h"
#include "base/utf8.h"

#define QUOTE_SIZE 64

struct query_parameter {
	const char *name;
	size_t offset; /* of a char * in struct fleet_target */
};

static const struct query_parameter query_parameters[] = {
	{"ca", offsetof(struct fleet_target, ca_file)},	     {"cert", offsetof(struct fleet_target, cert_file)},
	{"key", offsetof(struct fleet_target, key_file)},    {"events", offsetof(struct fleet_target, events)},
	{"sentinel", offsetof(struct fleet_target, master)},
};

#define QUERY_PARAMETERS (sizeof(query_parameters) / sizeof(*query_parameters))

static int refuse(struct error *err, const char *what)
{
	return error_set(err, -EINVAL, "the Redis URL %s; expected redis[s]://[user:password@]host[:port]/channel",
			 what);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. False: a "%" without two hexadecimal digits, or a NUL. */
static bool percent_decode(char *text)
{
	char *into = text;

	for (; *text; text++) {
		if (*text != '%') {
			*into++ = *text;
			continue;
		}
		int high = hex_value(text[1]), low = high < 0 ? -1 : hex_value(text[2]);
		if (low < 0 || high + low == 0)
			return false;
		*into++ = (char)(high * 16 + low);
		text += 2;
	}
	*into = '\0';
	return true;
}

static bool is_printable(const char *text)
{
	size_t left = strlen(text);
	uint32_t code;

	while (left > 0) {
		size_t size = utf8_decode(text, left, &code);

		if (!size || utf8_is_unprintable(code))
			return false;
		text += size;
		left -= size;
	}
	return true;
}

/* --- parts --- */

static int parse_scheme(char **at, struct fleet_target *target, struct error *err)
{
	if (strncmp(*at, "rediss://", 9) == 0) {
		target->tls = true;
		*at += 9;
		return 0;
	}
	if (strncmp(*at, "redis://", 8) == 0) {
		*at += 8;
		return 0;
	}
	return refuse(err, "does not begin with redis:// or rediss://");
}

static int parse_user(char *user, struct fleet_target *target, struct error *err)
{
	char *password = strchr(user, ':');

	if (password)
		*password++ = '\0';
	if (password ? !*password : !*user)
		return refuse(err, "has an empty user or password");
	if (!percent_decode(user) || (password && !percent_decode(password)) || !is_printable(user))
		return refuse(err, "has a user or password with a broken %-escape or a control character");
	if (fleet_target_set(&target->username, *user ? user : NULL) < 0 ||
	    fleet_target_set(&target->password, password) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int parse_port(const char *text, struct fleet_target *target, struct error *err)
{
	uint32_t port = 0;

	for (; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
		port = port * 10 + (uint32_t)(*text - '0');
	if (*text || port == 0 || port > UINT16_MAX)
		return refuse(err, "has a port outside 1 to 65535");
	target->port = (uint16_t)port;
	return 0;
}

/* A name, an IPv4 address, or an IPv6 address in brackets; then the port. */
static int parse_host(char *text, struct fleet_target *target, struct error *err)
{
	static const char allowed[] = PLAIN_CHARACTERS;
	char *end, *host = text;

	if (*text == '[') {
		host = text + 1;
		end = host + strcspn(host, "]");
		if (*end != ']' || end == host)
			return refuse(err, "has a \"[\" without an IPv6 address in brackets");
		*end++ = '\0';
		if (!percent_decode(host) || !strchr(host, ':') || !is_printable(host))
			return refuse(err, "has an invalid IPv6 address in brackets");
	} else {
		end = host + strspn(host, allowed);
		if (end == host)
			return refuse(err, "names no host");
	}
	if (*end && *end != ':')
		return refuse(err, "has a host with an invalid character");
	if (*end == ':') {
		int r = parse_port(end + 1, target, err);

		if (r < 0)
			return r;
		*end = '\0';
	}
	return fleet_target_set(&target->host, host) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int parse_authority(char *text, struct fleet_target *target, struct error *err)
{
	char *at = strrchr(text, '@');
	int r = 0;

	if (at) {
		*at = '\0';
		r = parse_user(text, target, err);
		text = at + 1;
	}
	return r < 0 ? r : parse_host(text, target, err);
}

static int parse_channel(char *text, struct fleet_target *target, struct error *err)
{
	if (!*text)
		return 0; /* the default */
	if (strchr(text, '/'))
		return refuse(err, "has more than a channel after the host (write \"%2F\" for a slash in its name)");
	if (!percent_decode(text) || !is_printable(text))
		return refuse(err, "has a channel with a broken %-escape or a control character");
	return fleet_target_set(&target->channel, text) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int unknown_parameter(const char *name, struct error *err)
{
	const char *known[QUERY_PARAMETERS], *suggestion;
	char quote[QUOTE_SIZE];

	for (size_t i = 0; i < QUERY_PARAMETERS; i++)
		known[i] = query_parameters[i].name;
	suggestion = suggest(name, known, QUERY_PARAMETERS);
	return error_set(err, -EINVAL, "the Redis URL has an unknown parameter \"%s\"%s%s%s",
			 printable(quote, sizeof(quote), name), suggestion ? " (did you mean \"" : "",
			 suggestion ? suggestion : "",
			 suggestion ? "\"?)" : " (known are ca, cert, key, events, sentinel)");
}

static int parse_parameter(char *text, struct fleet_target *target, struct error *err)
{
	char *value = strchr(text, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < QUERY_PARAMETERS; i++) {
		char **into = (char **)((char *)target + query_parameters[i].offset);

		if (strcmp(text, query_parameters[i].name) != 0)
			continue;
		if (!value || !*value || *into)
			return error_set(err, -EINVAL, "the Redis URL: the parameter \"%s\" %s",
					 query_parameters[i].name, *into ? "is given twice" : "needs a value");
		if (!percent_decode(value) || !is_printable(value))
			return refuse(err, "has a parameter with a broken %-escape or a control character");
		return fleet_target_set(into, value) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
	}
	return unknown_parameter(text, err);
}

static int parse_query(char *text, struct fleet_target *target, struct error *err)
{
	int r = 0;

	while (r == 0 && text) {
		char *next = strchr(text, '&');

		if (next)
			*next++ = '\0';
		r = parse_parameter(text, target, err);
		text = next;
	}
	return r;
}

/* With a master's name, the host is a Sentinel. */
static int make_sentinel(struct fleet_target *target, struct error *err)
{
	bool is_ipv6 = strchr(target->host, ':') != NULL;

	if (!target->master)
		return 0;
	if (asprintf(&target->sentinels[0], "%s%s%s:%u", is_ipv6 ? "[" : "", target->host, is_ipv6 ? "]" : "",
		     target->port) < 0) {
		target->sentinels[0] = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	target->sentinel_count = 1;
	return 0;
}

/* --- URL --- */

static int parse_url(char *text, struct fleet_target *target, struct error *err)
{
	char *query, *path, *at = text;
	int r = parse_scheme(&at, target, err);

	if (r < 0)
		return r;
	if (strchr(at, '#'))
		return refuse(err, "has a fragment (\"#\"; write \"%23\" if it is part of the password)");
	query = strchr(at, '?');
	if (query)
		*query++ = '\0';
	path = strchr(at, '/');
	if (path)
		*path++ = '\0';
	r = parse_authority(at, target, err);
	if (r == 0 && path)
		r = parse_channel(path, target, err);
	if (r == 0)
		r = parse_query(query, target, err);
	if (r == 0 && !target->tls && (target->ca_file || target->cert_file || target->key_file))
		r = refuse(err, "has a certificate but no TLS (rediss://)");
	if (r == 0 && !target->cert_file != !target->key_file)
		r = refuse(err, "has only one of cert and key");
	return r < 0 ? r : make_sentinel(target, err);
}

int redis_url_parse(const char *url, struct fleet_target **result, struct error *err)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target = fleet_target_new();
	size_t size = strnlen(url, REDIS_URL_MAX + 1);
	char *copy;
	int r;

	if (size > REDIS_URL_MAX)
		return refuse(err, "is too long");
	copy = strdup(url);
	if (!copy || !target) {
		free(copy);
		return error_set(err, -ENOMEM, "out of memory");
	}
	r = parse_url(copy, target, err);
	explicit_bzero(copy, size);
	free(copy);
	if (r == 0 && fleet_target_complete(target) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		*result = take(target);
	return r;
}
