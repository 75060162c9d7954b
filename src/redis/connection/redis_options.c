/* SPDX-License-Identifier: BSD-2-Clause */
/* A link keeps its options after the configuration they came from is gone, so they are copied. Secrets are wiped, so
 * that they do not stay in freed memory. */
#include "redis/connection/redis_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PING_INTERVAL_NS (10 * NS_PER_S)
#define PING_TIMEOUT_NS (5 * NS_PER_S)

static int copy_string(const char **copy, const char *text)
{
	*copy = text ? strdup(text) : NULL;
	return text && !*copy ? -ENOMEM : 0;
}

static void free_string(const char *text)
{
	free((char *)(uintptr_t)text);
}

static int copy_strings(char *const **copies, size_t *copied, char *const *texts, size_t count)
{
	char **list = count ? calloc(count, sizeof(*list)) : NULL;

	if (count && !list)
		return -ENOMEM;
	*copies = list;
	*copied = count;
	for (size_t i = 0; i < count; i++) {
		list[i] = strdup(texts[i]);
		if (!list[i])
			return -ENOMEM;
	}
	return 0;
}

static void free_strings(char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free((char **)(uintptr_t)texts);
}

static void free_secret(const char *text)
{
	if (text)
		explicit_bzero((char *)(uintptr_t)text, strlen(text));
	free_string(text);
}

static int copy_scalar_strings(struct redis_options *copy, const struct redis_options *options)
{
	const struct {
		const char **copy;
		const char *text;
	} texts[] = {
		{&copy->host, options->host},
		{&copy->username, options->username},
		{&copy->auth, options->auth},
		{&copy->master, options->master},
		{&copy->sentinel_username, options->sentinel_username},
		{&copy->sentinel_auth, options->sentinel_auth},
		{&copy->tls_name, options->tls_name},
		{&copy->ca_file, options->ca_file},
		{&copy->cert_file, options->cert_file},
		{&copy->key_file, options->key_file},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (copy_string(texts[i].copy, texts[i].text) < 0)
			return -ENOMEM;
	return 0;
}

int redis_options_copy(struct redis_options *copy, const struct redis_options *options)
{
	*copy = (struct redis_options){
		.port = options->port,
		.tls = options->tls,
		.secret = options->secret,
		.sentinel_secret = options->sentinel_secret,
		.any_role = options->any_role,
		.links = options->links,
		.cluster = options->cluster,
		.quiet = options->quiet,
		.block_ns = options->block_ns,
		.backoff_max_ns = options->backoff_max_ns,
		.ping_interval_ns = options->ping_interval_ns ? options->ping_interval_ns : PING_INTERVAL_NS,
		.ping_timeout_ns = options->ping_timeout_ns ? options->ping_timeout_ns : PING_TIMEOUT_NS,
	};
	if (copy_scalar_strings(copy, options) < 0 ||
	    copy_strings(&copy->nodes, &copy->node_count, options->nodes, options->node_count) < 0 ||
	    copy_strings(&copy->sentinels, &copy->sentinel_count, options->sentinels, options->sentinel_count) < 0)
		return -ENOMEM;
	return 0;
}

void redis_options_free(struct redis_options *options)
{
	free_string(options->host);
	free_string(options->username);
	free_secret(options->auth);
	free_string(options->master);
	free_string(options->sentinel_username);
	free_secret(options->sentinel_auth);
	free_string(options->tls_name);
	free_string(options->ca_file);
	free_string(options->cert_file);
	free_string(options->key_file);
	free_strings(options->nodes, options->node_count);
	free_strings(options->sentinels, options->sentinel_count);
}
