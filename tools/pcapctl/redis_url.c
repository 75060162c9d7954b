/*
 * RFC 3986 as far as it is needed, cut from the left: scheme, authority (up to the first "/" or "?"), path, query.
 * Parts are percent-decoded after they were cut, so that a password may hold any character. The work is done on a copy,
 * which is wiped.
 */
#include "redis_url.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/printable.h"
#include "base/suggest.h"
#include "base/utf8.h"

#define QUOTE_SIZE 64

struct query_row {
	const char *name;
	size_t offset; /* of a char * in struct fleet_place */
};

static const struct query_row query_rows[] = {
	{"ca", offsetof(struct fleet_place, ca_file)},	    {"cert", offsetof(struct fleet_place, cert_file)},
	{"key", offsetof(struct fleet_place, key_file)},    {"events", offsetof(struct fleet_place, events)},
	{"sentinel", offsetof(struct fleet_place, master)},
};

#define QUERY_ROWS (sizeof(query_rows) / sizeof(*query_rows))

static int complain(struct error *err, const char *what)
{
	return error_set(err, -EINVAL, "the Redis URL %s; it looks like redis[s]://[user:password@]host[:port]/channel",
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

static bool is_clean(const char *text)
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

/* --- the parts --- */

static int read_scheme(char **at, struct fleet_place *place, struct error *err)
{
	if (strncmp(*at, "rediss://", 9) == 0) {
		place->tls = true;
		*at += 9;
		return 0;
	}
	if (strncmp(*at, "redis://", 8) == 0) {
		*at += 8;
		return 0;
	}
	return complain(err, "does not begin with redis:// or rediss://");
}

static int read_user(char *user, struct fleet_place *place, struct error *err)
{
	char *password = strchr(user, ':');

	if (!password || !password[1])
		return complain(err, "names a user without a password");
	*password++ = '\0';
	if (!percent_decode(user) || !percent_decode(password) || !is_clean(user))
		return complain(err, "has a user or password with a broken %-escape or a control character");
	if (fleet_place_set(&place->username, *user ? user : NULL) < 0 ||
	    fleet_place_set(&place->password, password) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int read_port(const char *text, struct fleet_place *place, struct error *err)
{
	uint32_t port = 0;

	for (; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
		port = port * 10 + (uint32_t)(*text - '0');
	if (*text || port == 0 || port > UINT16_MAX)
		return complain(err, "has a port that is not 1 to 65535");
	place->port = (uint16_t)port;
	return 0;
}

/* A name, an IPv4 address, or an IPv6 address in brackets; then the port. */
static int read_host(char *text, struct fleet_place *place, struct error *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	char *end, *host = text;

	if (*text == '[') {
		host = text + 1;
		end = host + strcspn(host, "]");
		if (*end != ']' || end == host)
			return complain(err, "has a \"[\" that begins no IPv6 address in brackets");
		*end++ = '\0';
		if (!percent_decode(host) || !strchr(host, ':') || !is_clean(host))
			return complain(err, "has something in brackets that is no IPv6 address");
	} else {
		end = host + strspn(host, allowed);
		if (end == host)
			return complain(err, "names no host");
	}
	if (*end && *end != ':')
		return complain(err, "has a host with a character that no host has");
	if (*end == ':') {
		int r = read_port(end + 1, place, err);
		if (r < 0)
			return r;
		*end = '\0';
	}
	return fleet_place_set(&place->host, host) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int read_authority(char *text, struct fleet_place *place, struct error *err)
{
	char *at = strrchr(text, '@');
	int r = 0;

	if (at) {
		*at = '\0';
		r = read_user(text, place, err);
		text = at + 1;
	}
	return r < 0 ? r : read_host(text, place, err);
}

static int read_channel(char *text, struct fleet_place *place, struct error *err)
{
	if (!*text)
		return 0; /* the default */
	if (strchr(text, '/'))
		return complain(err, "has more than a channel behind the host (write \"%2F\" for a slash in its name)");
	if (!percent_decode(text) || !is_clean(text))
		return complain(err, "has a channel with a broken %-escape or a control character");
	return fleet_place_set(&place->channel, text) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int unknown_parameter(const char *name, struct error *err)
{
	const char *known[QUERY_ROWS], *meant;
	char quote[QUOTE_SIZE];

	for (size_t i = 0; i < QUERY_ROWS; i++)
		known[i] = query_rows[i].name;
	meant = suggest(name, known, QUERY_ROWS);
	return error_set(err, -EINVAL, "the Redis URL has an unknown parameter \"%s\"%s%s%s",
			 printable(quote, sizeof(quote), name), meant ? " (did you mean \"" : "", meant ? meant : "",
			 meant ? "\"?)" : " (there are ca, cert, key, events, sentinel)");
}

static int read_parameter(char *text, struct fleet_place *place, struct error *err)
{
	char *value = strchr(text, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < QUERY_ROWS; i++) {
		char **into = (char **)((char *)place + query_rows[i].offset);

		if (strcmp(text, query_rows[i].name) != 0)
			continue;
		if (!value || !*value || *into)
			return error_set(err, -EINVAL, "the Redis URL: the parameter \"%s\" %s", query_rows[i].name,
					 *into ? "is given twice" : "needs a value");
		if (!percent_decode(value) || !is_clean(value))
			return complain(err, "has a parameter with a broken %-escape or a control character");
		return fleet_place_set(into, value) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
	}
	return unknown_parameter(text, err);
}

static int read_query(char *text, struct fleet_place *place, struct error *err)
{
	int r = 0;

	while (r == 0 && text) {
		char *next = strchr(text, '&');

		if (next)
			*next++ = '\0';
		r = read_parameter(text, place, err);
		text = next;
	}
	return r;
}

/* With a master's name the host is a Sentinel's. */
static int name_sentinel(struct fleet_place *place, struct error *err)
{
	bool is_ipv6 = strchr(place->host, ':') != NULL;

	if (!place->master)
		return 0;
	if (asprintf(&place->sentinels[0], "%s%s%s:%u", is_ipv6 ? "[" : "", place->host, is_ipv6 ? "]" : "",
		     place->port) < 0) {
		place->sentinels[0] = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	place->sentinel_count = 1;
	return 0;
}

/* --- the whole --- */

static int read_all(char *text, struct fleet_place *place, struct error *err)
{
	char *query, *path, *at = text;
	int r = read_scheme(&at, place, err);

	if (r < 0)
		return r;
	if (strchr(at, '#'))
		return complain(err, "has a fragment (\"#\"; write \"%23\" if it is part of the password)");
	query = strchr(at, '?');
	if (query)
		*query++ = '\0';
	path = strchr(at, '/');
	if (path)
		*path++ = '\0';
	r = read_authority(at, place, err);
	if (r == 0 && path)
		r = read_channel(path, place, err);
	if (r == 0)
		r = read_query(query, place, err);
	if (r == 0 && !place->tls && (place->ca_file || place->cert_file || place->key_file))
		r = complain(err, "has a certificate but no TLS (rediss://)");
	if (r == 0 && !place->cert_file != !place->key_file)
		r = complain(err, "has only one of cert and key");
	return r < 0 ? r : name_sentinel(place, err);
}

int redis_url_parse(const char *url, struct fleet_place **result, struct error *err)
{
	cleanup(cleanup_fleet_place) struct fleet_place *place = fleet_place_new();
	size_t size = strnlen(url, REDIS_URL_MAX + 1);
	char *copy;
	int r;

	if (size > REDIS_URL_MAX)
		return complain(err, "is too long");
	copy = strdup(url);
	if (!copy || !place) {
		free(copy);
		return error_set(err, -ENOMEM, "out of memory");
	}
	r = read_all(copy, place, err);
	explicit_bzero(copy, size);
	free(copy);
	if (r == 0 && fleet_place_finish(place) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		*result = take(place);
	return r;
}
