/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules for strings in the configuration, named by the table's rows. */
#include "config/config_rules.h"

#include <ctype.h>
#include <string.h>
#include <sys/un.h>

#include "base/network_interface.h"
#include "config/config.h"

const char *config_rule_host(const char *text)
{
	const char *colon = strchr(text, ':');

	if (strchr(text, '/') || strchr(text, '\\'))
		return "must be a bare host name or address, without a scheme or a path";
	if (strpbrk(text, " \t@?#"))
		return "must be a host name or address; it cannot contain a space, '@', '?' or '#'";
	if (colon && colon == strrchr(text, ':'))
		return "must be a host name or address without a port, which has a key of its own";
	return NULL;
}

const char *config_rule_token(const char *text)
{
	if (!strcmp(text, ".") || !strcmp(text, ".."))
		return "cannot be a token: it is a path component";
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("_-.~", *text))
			return "contains a character that tokens cannot have (allowed are letters, digits and _ - . ~)";
	return NULL;
}

const char *config_rule_web_url(const char *text)
{
	const char *host = !strncmp(text, "http://", 7) ? text + 7 : !strncmp(text, "https://", 8) ? text + 8 : NULL;

	if (!host)
		return "must begin with http:// or https://";
	if (!*host || *host == '/' || *host == ':')
		return "must have a host";
	for (; *host; host++)
		if (!isgraph((unsigned char)*host) || strchr("@?#\\\"<>", *host))
			return "must be scheme://host[:port][/path], without '@', '?', '#', quotes and spaces";
	return NULL;
}

const char *config_rule_api_token(const char *text)
{
	return strlen(text) < CONFIG_SECRET_MIN ? "must have at least 16 characters" : config_rule_token(text);
}

const char *config_rule_destination(const char *text)
{
	static const char *const destinations[] = {"cloudshark", "local", "memory", "redis", "none"};

	for (size_t i = 0; i < sizeof(destinations) / sizeof(*destinations); i++)
		if (!strcmp(text, destinations[i]))
			return NULL;
	return "is no destination (there are cloudshark, local, memory and redis)";
}

const char *config_rule_host_pair(const char *text)
{
	const char *node = strchr(text, '=');

	return node && node > text && node[1] && !strpbrk(text, " \t") ? NULL : "must be HOST=NODE";
}

const char *config_rule_interface(const char *text)
{
	if (strlen(text) > NETWORK_INTERFACE_ANY_NAME_MAX)
		return "is longer than any interface name";
	if (strpbrk(text, "/ \t"))
		return "is not an interface name: it cannot contain a slash or a space";
	return NULL;
}

static const char *check_port(const char *text)
{
	unsigned port = 0;

	for (const char *at = text; *at; at++) {
		if (!isdigit((unsigned char)*at) || at - text >= 5)
			return "must end in a port, 1 to 65535";
		port = port * 10 + (unsigned)(*at - '0');
	}
	return port >= 1 && port <= 65535 ? NULL : "must end in a port, 1 to 65535";
}

const char *config_rule_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');

	if (strpbrk(text, " \t@?#/\\"))
		return "must be host:port; it cannot contain a space, a slash, '@', '?' or '#'";
	if (!colon || colon == text || (bracket && bracket > colon))
		return "must be host:port";
	if (*text == '[' ? !bracket || bracket + 1 != colon || bracket == text + 1 : strchr(text, ':') != colon)
		return "must be host:port, with an IPv6 address in brackets, as in [::1]:6379";
	return check_port(colon + 1);
}

const char *config_rule_socket(const char *text)
{
	if (*text != '/')
		return "must be an absolute path";
	if (strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return "is longer than a unix socket's path can be (107 bytes)";
	return NULL;
}
