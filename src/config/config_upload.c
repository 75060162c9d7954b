/* SPDX-License-Identifier: BSD-2-Clause */
/* Each check is one line: what must not be, the key at fault, and the reason. The first one that applies counts. */
#include "config/config_upload.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/name_template.h"
#include "config/config.h"

#define ONE_NAME "has neither {name} nor {capture} in it, so each capture replaces the one before"

struct check {
	bool applies;
	const char *key, *reason;
};

static const char *first_of(const struct check *checks, size_t count, const char **key)
{
	for (size_t i = 0; i < count; i++) {
		if (checks[i].applies) {
			*key = checks[i].key;
			return checks[i].reason;
		}
	}
	return NULL;
}

#define FIRST_OF(checks, key) first_of(checks, sizeof(checks) / sizeof(*(checks)), key)

static bool is_unique(const char *template)
{
	return name_template_has(template, "name") || name_template_has(template, "capture");
}

static bool has_header(const struct config_http *http, const char *name)
{
	const size_t length = strlen(name);

	for (size_t i = 0; i < http->header.count; i++)
		if (strncasecmp(http->header.items[i], name, length) == 0 && http->header.items[i][length] == ':')
			return true;
	return false;
}

const char *config_http_objection(const struct config_http *http, bool used, const char **key)
{
	const bool post = strcmp(http->method, "POST") == 0, tls = strncasecmp(http->url, "https:", 6) == 0;
	const struct check checks[] = {
		{used && !*http->url, "url", "is missing (or url_file)"},
		{*http->form_field && !post, "form_field", "needs method = \"POST\""},
		{http->form.count && !*http->form_field, "form", "needs form_field"},
		{*http->form_field && has_header(http, "Content-Type"), "header",
		 "cannot set Content-Type of a form (form_field)"},
		{*http->username && !*http->password, "username", "needs a password: password_file (or password)"},
		{*http->password && !*http->username, "password", "needs username"},
		{*http->token && *http->username, "token", "conflicts with username; set only one of them"},
		{*http->token && has_header(http, "Authorization"), "token",
		 "conflicts with the header Authorization; set only one of them"},
		{*http->cert_file && !*http->key_file, "cert_file", "needs key_file"},
		{*http->key_file && !*http->cert_file, "key_file", "needs cert_file"},
		{*http->url && !tls && *http->cert_file, "cert_file", "has no effect without https"},
		{*http->url && !tls && *http->ca_file, "ca_file", "has no effect without https"},
	};

	return FIRST_OF(checks, key);
}

const char *config_http_warning(const struct config_http *http, const char **key)
{
	const struct check checks[] = {
		{*http->url && !strcmp(http->method, "PUT") && !is_unique(http->url),
		 *http->url_file ? "url_file" : "url", ONE_NAME},
	};

	return FIRST_OF(checks, key);
}

const char *config_sftp_objection(const struct config_sftp *sftp, bool used, const char **key)
{
	const struct check checks[] = {
		{used && !*sftp->host, "host", "is missing"},
		{used && !*sftp->user, "user", "is missing"},
		{used && !*sftp->key_file, "key_file", "is missing"},
		{used && !*sftp->known_hosts && !*sftp->host_key_sha256, "known_hosts",
		 "is missing (or host_key_sha256): the server's key is always checked"},
		{*sftp->known_hosts && *sftp->host_key_sha256, "host_key_sha256",
		 "conflicts with known_hosts; set only one of them"},
	};

	return FIRST_OF(checks, key);
}

const char *config_sftp_warning(const struct config_sftp *sftp, const char **key)
{
	const struct check checks[] = {
		{*sftp->host && !is_unique(sftp->path), "path",
		 "has neither {name} nor {capture} in it: a second capture of the same name is refused"},
	};

	return FIRST_OF(checks, key);
}
