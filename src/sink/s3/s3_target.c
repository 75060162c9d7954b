/* SPDX-License-Identifier: BSD-2-Clause */
/* The endpoint, the region and the bucket's name were checked where they came in (config_rules.h, or below). */
#include "sink/s3/s3_target.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "sink/s3/aws_sign.h"

#define PATH_MAX_BYTES 8192
#define ENCODED_WORD "=?UTF-8?B?"

bool s3_is_region(const char *text)
{
	const size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return size > 0 && size < S3_REGION_SIZE && !text[size];
}

/* --- the address --- */

static bool is_aws(const char *host)
{
	static const char *const domains[] = {".amazonaws.com", ".amazonaws.com.cn"};
	const size_t size = strlen(host);

	for (size_t i = 0; i < sizeof(domains) / sizeof(*domains); i++) {
		const size_t end = strlen(domains[i]);

		if (size > end && strcasecmp(host + size - end, domains[i]) == 0)
			return true;
	}
	return false;
}

/* Without scheme, port and path. */
static void copy_host(char host[static S3_HOST_SIZE], const char *endpoint)
{
	endpoint = strstr(endpoint, "://") ? strstr(endpoint, "://") + 3 : endpoint;
	snprintf(host, S3_HOST_SIZE, "%.*s", (int)strcspn(endpoint, ":/"), endpoint);
}

void s3_target_move(struct s3_target *target, const char *region)
{
	char host[S3_HOST_SIZE];

	copy_host(host, target->endpoint);
	if (is_aws(host))
		target->endpoint = "";
	snprintf(target->region, sizeof(target->region), "%s", region);
}

static bool is_by_host(const struct s3_target *target, const char *host, bool https)
{
	if (target->style != S3_STYLE_AUTO)
		return target->style == S3_STYLE_HOST;
	return is_aws(host) && !(https && strchr(target->bucket, '.')); /* AWS's certificate covers one label */
}

/* Splits the endpoint into scheme and host, without the scheme's own port. */
static int read_endpoint(struct s3_address *address, const struct s3_target *target, char host[static S3_HOST_SIZE])
{
	const char *at = target->endpoint;
	const char *const own_port[] = {":80", ":443"};
	int size;

	address->https = strncasecmp(at, "http://", 7) != 0;
	if (*at) {
		at = strstr(at, "://") ? strstr(at, "://") + 3 : at;
		size = snprintf(host, S3_HOST_SIZE, "%.*s", (int)strcspn(at, "/"), at);
	} else {
		size = snprintf(host, S3_HOST_SIZE, "s3.%s.amazonaws.com%s", target->region,
				strncmp(target->region, "cn-", 3) == 0 ? ".cn" : "");
	}
	if (size >= S3_HOST_SIZE)
		return -EMSGSIZE;
	const char *port = own_port[address->https];
	char *end = host + strlen(host) - (strlen(host) > strlen(port) ? strlen(port) : 0);
	if (strcmp(end, port) == 0 && end[-1] != ':')
		*end = '\0';
	return 0;
}

int s3_address_init(struct s3_address *address, const struct s3_target *target, const char *key)
{
	char host[S3_HOST_SIZE];
	int r, size;

	*address = (struct s3_address){.path = BUFFER_INIT(PATH_MAX_BYTES)};
	r = read_endpoint(address, target, host);
	if (r < 0)
		return r;
	const bool by_host = is_by_host(target, host, address->https);
	size = snprintf(address->host, sizeof(address->host), "%s%s%s", by_host ? target->bucket : "",
			by_host ? "." : "", host);
	if (size >= (int)sizeof(address->host))
		return -EMSGSIZE;
	r = buffer_append_string(&address->path, "/");
	if (r == 0 && !by_host)
		r = aws_encode(&address->path, target->bucket, "");
	if (r == 0 && !by_host && key)
		r = buffer_append_string(&address->path, "/");
	return r == 0 && key ? aws_encode(&address->path, key, "/") : r;
}

void s3_address_deinit(struct s3_address *address)
{
	buffer_deinit(&address->path);
}

int s3_key(char key[static S3_KEY_MAX + 1], const char *folder, const char *name)
{
	size_t size;
	int r;

	folder += strspn(folder, "/");
	size = strlen(folder);
	while (size > 0 && folder[size - 1] == '/')
		size--;
	r = snprintf(key, S3_KEY_MAX + 1, "%.*s%s%s", (int)size, folder, size ? "/" : "", name);
	return size > S3_KEY_MAX || r > S3_KEY_MAX ? -EMSGSIZE : 0;
}

/* --- metadata --- */

static bool is_plain(const char *text)
{
	if (*text == ' ' || strstr(text, "=?") || strstr(text, "  ") || (*text && text[strlen(text) - 1] == ' '))
		return false;
	for (; *text; text++)
		if (*text < ' ' || *text >= 0x7f)
			return false;
	return true;
}

/* The bytes of an encoded word for `size` bytes of text. */
static size_t encoded_size(size_t size)
{
	return strlen(ENCODED_WORD) + (size + 2) / 3 * 4 + strlen("?=");
}

/* How much of the text fits. */
static size_t cut(const char *text, size_t max)
{
	const bool plain = is_plain(text);
	const size_t size = strlen(text), spare = strlen(ENCODED_WORD) + strlen("?=") + 4;
	size_t kept = plain ? max : max > spare ? (max - spare) / 4 * 3 : 0;

	if (size <= kept)
		return size;
	kept = utf8_cut(text, size, kept);
	for (size_t at = kept; at > 0; at--)
		if (text[at] == ',')
			return at;
	return kept;
}

int s3_metadata(struct buffer *out, const char *text, size_t max)
{
	const size_t size = cut(text, max);
	cleanup(cleanup_free) char *kept = strndup(text, size);
	cleanup(cleanup_free) unsigned char *encoded = NULL;

	if (!kept)
		return -ENOMEM;
	if (is_plain(kept))
		return buffer_append_string(out, kept);
	encoded = malloc(encoded_size(size));
	if (!encoded)
		return -ENOMEM;
	EVP_EncodeBlock(encoded, (const unsigned char *)kept, (int)size);
	return buffer_printf(out, ENCODED_WORD "%s?=", encoded);
}
