/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link keeps the connection up; this file keeps the subscription on it. If the subscription ends while the
 * connection lives (the server sends "unsubscribe", the user's ACL refuses the channel), the connection is dropped too,
 * so that there is only one way back: the link's, with its back-off. Messages of any size up to the link's cap are
 * passed on; the receiver validates them. Redis keeps nothing for an absent subscriber: messages published meanwhile
 * are lost.
 */
#include "trigger/redis_pubsub.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "redis/connection/redis_link.h"

#define ORIGIN_PREFIX "redis:"

struct redis_pubsub {
	struct redis_link *link;
	struct trigger_handler handler;
	char *origin; /* "redis:<channel>" */
	bool subscribed;
};

CLEANUP_DEFINE(redis_pubsub, struct redis_pubsub, redis_pubsub_free)

static const char *channel_of(const struct redis_pubsub *pubsub)
{
	return pubsub->origin + strlen(ORIGIN_PREFIX);
}

/* The link lets only well-formed answers through: three elements, a known kind, our channel. */
static void on_reply(redisAsyncContext *redis, void *data, void *ctx)
{
	struct redis_pubsub *pubsub = ctx;
	const redisReply *reply = data;
	const char *kind;

	if (redis_link_detached(redis) || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	kind = reply->element[0]->str;
	if (strcmp(kind, "subscribe") == 0) {
		pubsub->subscribed = true;
		log_notice("subscribed", log_str("channel", channel_of(pubsub)));
	} else if (strcmp(kind, "unsubscribe") == 0) {
		redis_link_restart(pubsub->link, "the server ended the subscription");
	} else {
		const struct trigger_message message = {.origin = pubsub->origin,
							.bytes = reply->element[2]->str,
							.size = reply->element[2]->len};

		log_debug(trigger, "message", log_str("origin", message.origin), log_uint("bytes", message.size));
		pubsub->handler.message(pubsub->handler.ctx, &message);
	}
}

static void on_up(void *ctx, redisAsyncContext *redis)
{
	struct redis_pubsub *pubsub = ctx;

	(void)redis;
	if (redis_link_subscribe(pubsub->link, channel_of(pubsub), on_reply, pubsub) < 0)
		redis_link_restart(pubsub->link, "out of memory");
}

static void on_down(void *ctx)
{
	struct redis_pubsub *pubsub = ctx;

	pubsub->subscribed = false;
}

struct redis_pubsub *redis_pubsub_new(struct event_base *loop, const struct redis_options *options, const char *channel,
				      struct trigger_handler handler)
{
	cleanup(cleanup_redis_pubsub) struct redis_pubsub *pubsub = calloc(1, sizeof(*pubsub));
	const struct redis_link_handler link_handler = {.up = on_up, .down = on_down, .ctx = pubsub};

	if (!pubsub)
		return NULL;
	pubsub->handler = handler;
	if (asprintf(&pubsub->origin, ORIGIN_PREFIX "%s", channel) < 0) {
		pubsub->origin = NULL;
		return NULL;
	}
	pubsub->link = redis_link_new(loop, "subscriber", options, link_handler);
	return pubsub->link ? take(pubsub) : NULL;
}

void redis_pubsub_free(struct redis_pubsub *pubsub)
{
	if (!pubsub)
		return;
	redis_link_free(pubsub->link);
	free(pubsub->origin);
	free(pubsub);
}

bool redis_pubsub_subscribed(const struct redis_pubsub *pubsub)
{
	return pubsub->subscribed;
}
