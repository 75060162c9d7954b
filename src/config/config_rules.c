/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules for strings in the configuration, named by the table's rows. */
#include "config/config_rules.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/name_template.h"
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
	static const char allowed[] = PLAIN_CHARACTERS;

	static_assert(CONFIG_DESTINATION_NAME_MAX == 32, "as in the text");
	if (strlen(text) > CONFIG_DESTINATION_NAME_MAX || strspn(text, allowed) != strlen(text))
		return "is no destination's name, which has up to 32 of the characters A-Z a-z 0-9 . _ -";
	return NULL;
}

const char *config_rule_destination_name(const char *text)
{
	/* The last three: [requests] destinations, and what events call a live capture and a failure to begin. */
	static const char *const reserved[] = {"cloudshark", "local",  "s3",   "http", "redis",
					       "sftp",	     "memory", "none", "live", "delivery"};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (!strcmp(text, reserved[i]))
			return "is a reserved name";
	return config_rule_destination(text);
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

const char *config_rule_http_url(const char *text)
{
	const char *host = strncasecmp(text, "https://", 8) == 0  ? text + 8
			   : strncasecmp(text, "http://", 7) == 0 ? text + 7
								  : NULL;
	const size_t size = host ? strcspn(host, "/?") : 0;

	if (!host)
		return "must begin with https:// or http://";
	for (const char *at = text; *at; at++)
		if (*at == ' ' || *at == '#' || (unsigned char)*at >= 0x80)
			return "cannot contain a space, '#' or a character that is not ASCII (percent-encode it)";
	if (size == 0 || host[size - 1] == '@')
		return "has no host";
	if (memchr(host, '{', size))
		return "cannot have placeholders before its path";
	return name_template_objection(text);
}

/* A name of a header (RFC 9110, 5.6.2). */
static bool is_token(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i]))
			return false;
	return size > 0;
}

const char *config_rule_plain_header(const char *text)
{
	static const char *const own[] = {"Content-Length", "Transfer-Encoding", "Host", "Connection"};
	const size_t size = strcspn(text, ":");

	if (!text[size] || !is_token(text, size))
		return "must be \"Name: value\"";
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (size == strlen(own[i]) && strncasecmp(text, own[i], size) == 0)
			return "cannot set Content-Length, Transfer-Encoding, Host or Connection";
	return NULL;
}

const char *config_rule_header(const char *text)
{
	const char *objection = config_rule_plain_header(text);

	return objection ? objection : name_template_objection(text);
}

const char *config_rule_event(const char *text)
{
	static const char *const kinds[] = {"accepted", "rejected", "captured", "done",
					    "failed",	"spooled",  "warning",	"suppressed"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(text, kinds[i]))
			return NULL;
	return "is no event (there are accepted, rejected, captured, done, failed, spooled, warning and suppressed)";
}

const char *config_rule_form(const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals || equals == text || memchr(text, '{', (size_t)(equals - text)))
		return "must be \"name=value\"";
	return name_template_objection(text);
}

const char *config_rule_bearer(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return "contains a character that bearer tokens cannot have (a space, or one that is not "
			       "ASCII)";
	return NULL;
}

const char *config_rule_sftp_path(const char *text)
{
	if (text[strlen(text) - 1] == '/')
		return "must end in the file's name, as in captures/{name}";
	for (const char *at = text; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (!strncmp(at, "..", 2) && (at[2] == '/' || !at[2]))
			return "cannot contain \"..\"";
	}
	if (strpbrk(text, "\"\\"))
		return "cannot contain a quote or a backslash";
	return name_template_objection(text);
}

#define FINGERPRINT_DIGITS 43 /* 32 bytes in base64, without padding */

const char *config_rule_fingerprint(const char *text)
{
	size_t digits;

	text += strncmp(text, "SHA256:", 7) == 0 ? 7 : 0;
	for (digits = 0; isalnum((unsigned char)text[digits]) || (text[digits] && strchr("+/", text[digits]));)
		digits++;
	return digits == FINGERPRINT_DIGITS && (!text[digits] || !strcmp(text + digits, "="))
		       ? NULL
		       : "must be SHA256: and 43 characters of base64, as ssh-keygen -l prints it";
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
