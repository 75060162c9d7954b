/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The links of one process to one Redis. A subscriber can't ask its server for its role, and others ask seldom; so the
 * first link that finds its server replaced tells all others, which leave theirs as well. Loop thread.
 */
#pragma once

#include <sys/queue.h>

#include "base/cleanup.h"

struct redis_links;
struct sentinel_watcher;

/* Embedded by a link. */
struct redis_links_member {
	LIST_ENTRY(redis_links_member) list;
	/* Another link's server was replaced. Must only note it. */
	void (*replaced)(struct redis_links_member *member);
};

struct redis_links *redis_links_new(void);	  /* NULL on ENOMEM */
void redis_links_free(struct redis_links *links); /* no member may be left */

void redis_links_add(struct redis_links *links, struct redis_links_member *member);
void redis_links_remove(struct redis_links_member *member);

/* Tells all members but `member`. */
void redis_links_tell_replaced(struct redis_links *links, const struct redis_links_member *member);

/* For redis_sentinel.c: the one watcher of the Sentinels. NULL: there is none. */
void redis_links_set_watcher(struct redis_links *links, struct sentinel_watcher *watcher);
struct sentinel_watcher *redis_links_watcher(const struct redis_links *links);

CLEANUP_DEFINE(redis_links, struct redis_links, redis_links_free)
