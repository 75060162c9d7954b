/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules for strings in the configuration, named by the table's rows. */
#include "config/config_rules.h"

#include <ctype.h>
#include <string.h>
#include <sys/un.h>

#include "base/network_interface.h"
#include "base/printable.h"
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

const char *config_rule_api_token(const char *text)
{
	return strlen(text) < CONFIG_SECRET_MIN ? "must have at least 16 characters" : config_rule_token(text);
}

const char *config_rule_destination(const char *text)
{
	static const char *const destinations[] = {"cloudshark", "local", "memory", "redis", "s3", "none"};

	for (size_t i = 0; i < sizeof(destinations) / sizeof(*destinations); i++)
		if (!strcmp(text, destinations[i]))
			return NULL;
	return "is no destination (there are cloudshark, local, memory, redis and s3)";
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

/* --- S3 --- */

const char *config_rule_header_word(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return "must be printable ASCII without a space";
	return NULL;
}

const char *config_rule_access_id(const char *text)
{
	return strpbrk(text, "/,") ? "cannot contain '/' or ','" : config_rule_header_word(text);
}

const char *config_rule_s3_acl(const char *text)
{
	static const char *const lists[] = {
		"private",	 "public-read",	      "public-read-write",	   "authenticated-read",
		"aws-exec-read", "bucket-owner-read", "bucket-owner-full-control", "log-delivery-write"};

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		if (!strcmp(text, lists[i]))
			return NULL;
	return "is no canned access control list (there are private, bucket-owner-full-control, bucket-owner-read, "
	       "authenticated-read, public-read, public-read-write, aws-exec-read and log-delivery-write)";
}

const char *config_rule_s3_bucket(const char *text)
{
	const size_t size = strlen(text);

	if (size < 3 || size > 63 || strspn(text, PLAIN_CHARACTERS) != size)
		return "must be 3 to 63 of the characters A-Z a-z 0-9 . _ -";
	if (strchr(".-", *text) || strstr(text, ".."))
		return "is no bucket name: it cannot begin with '.' or '-', or contain '..'";
	return NULL;
}

const char *config_rule_s3_region(const char *text)
{
	const size_t size = strlen(text);

	return size > 63 || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != size
		       ? "must be at most 63 of the characters A-Z a-z 0-9 - _"
		       : NULL;
}

const char *config_rule_s3_folder(const char *text)
{
	if (strlen(text) > 512)
		return "is longer than 512 bytes";
	for (const char *at = text; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (!strcmp(at, ".") || !strcmp(at, "..") || !strncmp(at, "./", 2) || !strncmp(at, "../", 3))
			return "cannot have \".\" or \"..\" as a component";
	}
	return NULL;
}

const char *config_rule_s3_endpoint(const char *text)
{
	const char *scheme = strstr(text, "://"), *host = scheme ? scheme + 3 : text;
	char bare[256];
	size_t size = strlen(host);

	if (scheme && strncasecmp(text, "https://", 8) != 0 && strncasecmp(text, "http://", 7) != 0)
		return "must begin with https:// or http://, or have no scheme";
	if (size > 0 && host[size - 1] == '/')
		size--;
	if (size == 0 || size >= sizeof(bare))
		return "must be [https://]HOST[:PORT]";
	memcpy(bare, host, size);
	bare[size] = '\0';
	if (strspn(bare, PLAIN_CHARACTERS ":[]") != size)
		return "must be [https://]HOST[:PORT]; it cannot have a user, a path or a query";
	const char *colon = strrchr(bare, ':'), *bracket = strrchr(bare, ']');
	if (*bare == '[' ? bracket && bracket[1] : colon != NULL)
		return config_rule_endpoint(bare);
	return *bare == '[' && !bracket ? "lacks a ']'" : NULL;
}

const char *config_rule_s3_override(const char *text)
{
	static const char *const fields[] = {"bucket", "folder", "region", "endpoint", "acl", "encryption"};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (!strcmp(text, fields[i]))
			return NULL;
	return "is no field of a request for S3 (there are bucket, folder, region, endpoint, acl and encryption)";
}
