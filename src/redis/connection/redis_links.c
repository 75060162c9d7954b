/* SPDX-License-Identifier: BSD-2-Clause */
/* A list. Members only note the news and act from their own timers, so that none changes the list meanwhile. */
#include "redis/connection/redis_links.h"

#include <stdlib.h>

struct redis_links {
	LIST_HEAD(, redis_links_member) members;
	struct sentinel_watcher *watcher; /* not owned */
};

struct redis_links *redis_links_new(void)
{
	return calloc(1, sizeof(struct redis_links));
}

void redis_links_free(struct redis_links *links)
{
	free(links);
}

void redis_links_add(struct redis_links *links, struct redis_links_member *member)
{
	LIST_INSERT_HEAD(&links->members, member, list);
}

void redis_links_remove(struct redis_links_member *member)
{
	LIST_REMOVE(member, list);
}

void redis_links_tell_replaced(struct redis_links *links, const struct redis_links_member *member)
{
	struct redis_links_member *other;

	LIST_FOREACH(other, &links->members, list)
	{
		if (other != member)
			other->replaced(other);
	}
}

void redis_links_set_watcher(struct redis_links *links, struct sentinel_watcher *watcher)
{
	links->watcher = watcher;
}

struct sentinel_watcher *redis_links_watcher(const struct redis_links *links)
{
	return links->watcher;
}
