/* SPDX-License-Identifier: BSD-2-Clause */
/* A file is read again when its stamp has changed. */
#include "redis/connection/redis_tls_cache.h"

#include <errno.h>
#include <openssl/ssl.h>

#include "base/file_stamp.h"
#include "redis/connection/redis_options.h"
#include "redis/connection/redis_tls.h"

#define FILES 3 /* authorities, certificate, key */

struct redis_tls_cache {
	const struct redis_options *options;
	SSL_CTX *context;
	struct file_stamp stamps[FILES]; /* of the files that it was made from */
};

struct redis_tls_cache *redis_tls_cache_new(const struct redis_options *options)
{
	struct redis_tls_cache *cache = calloc(1, sizeof(*cache));

	if (cache)
		cache->options = options;
	return cache;
}

void redis_tls_cache_free(struct redis_tls_cache *cache)
{
	if (!cache)
		return;
	SSL_CTX_free(cache->context);
	free(cache);
}

void redis_tls_cache_forget(struct redis_tls_cache *cache)
{
	SSL_CTX_free(cache->context);
	cache->context = NULL;
}

static void forget_if_outdated(struct redis_tls_cache *cache)
{
	const char *const files[FILES] = {cache->options->ca_file, cache->options->cert_file, cache->options->key_file};

	for (size_t i = 0; i < FILES; i++) {
		const struct file_stamp stamp = file_stamp_read(files[i]);

		if (!file_stamp_equal(&stamp, &cache->stamps[i]))
			redis_tls_cache_forget(cache);
		cache->stamps[i] = stamp;
	}
}

int redis_tls_cache_update(struct redis_tls_cache *cache, struct error *err)
{
	if (!cache->options->tls)
		return 0;
	forget_if_outdated(cache);
	if (!cache->context)
		cache->context = redis_tls_context(cache->options, err);
	return cache->context ? 0 : -EINVAL;
}

SSL_CTX *redis_tls_cache_context(const struct redis_tls_cache *cache)
{
	return cache->context;
}
