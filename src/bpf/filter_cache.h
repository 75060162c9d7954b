/* SPDX-License-Identifier: BSD-2-Clause */
/* The filters of one request: compiled once for each link type, not for each of hundreds of interfaces. Any thread. */
#pragma once

#include "base/cleanup.h"
#include "bpf/filter.h"

struct filter_cache;

struct filter_cache *filter_cache_new(void); /* NULL on ENOMEM */
void filter_cache_free(struct filter_cache *cache);

/* As filter_new, for the same expressions at each call. The caller gets a reference of its own (filter_free). Waits for
 * another thread that compiles. */
warn_unused int filter_cache_get(struct filter_cache *cache, const struct filter_options *options, struct error *err,
				 const char **field, struct filter **filter);

CLEANUP_DEFINE(filter_cache, struct filter_cache, filter_cache_free)
