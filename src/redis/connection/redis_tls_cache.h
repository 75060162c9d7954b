/* SPDX-License-Identifier: BSD-2-Clause */
/* The TLS context of one link, kept until its certificates are replaced. Loop thread; blocks as reading a file does. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

struct redis_options;
struct redis_tls_cache;
struct ssl_ctx_st;

/* The options are not copied. NULL on ENOMEM. */
struct redis_tls_cache *redis_tls_cache_new(const struct redis_options *options);
void redis_tls_cache_free(struct redis_tls_cache *cache);

/* Call it before each attempt. Without TLS 0; else 0 and there is a context of the files as they are now, or -errno
 * with the text in `err`. */
warn_unused int redis_tls_cache_update(struct redis_tls_cache *cache, struct error *err);
/* The next update reads the files again, the system's authorities as well, which may have been replaced. */
void redis_tls_cache_forget(struct redis_tls_cache *cache);
/* NULL: no TLS, or no context yet. The cache's. */
struct ssl_ctx_st *redis_tls_cache_context(const struct redis_tls_cache *cache);

CLEANUP_DEFINE(redis_tls_cache, struct redis_tls_cache, redis_tls_cache_free)
