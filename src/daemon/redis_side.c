/* Three connections, four with a stream: publisher, subscriber and keys, since a connection that is subscribed or
 * blocks can do nothing else. */
#include "daemon/redis_side.h"

#include <errno.h>

#include "base/clock.h"
#include "config/config.h"
#include "event/event.h"
#include "event/event_redis.h"
#include "job/jobs.h"
#include "job/reply_store.h"
#include "redis/redis_commands.h"
#include "status/presence.h"
#include "trigger/redis_pubsub.h"
#include "trigger/redis_stream.h"

#define ANSWERS_KEPT_NS (24 * 3600 * NS_PER_S) /* at least */

int redis_side_init(struct redis_side *side, struct event_base *loop, const struct config *config)
{
	side->loop = loop;
	side->config = config;
	if (!config->redis.listen)
		return 0;
	side->options = (struct redis_options){
		.host = config->redis.host,
		.port = (uint16_t)config->redis.port,
		.nodes = config->redis.nodes.items,
		.node_count = config->redis.nodes.count,
		.sentinels = config->redis.sentinels.items,
		.sentinel_count = config->redis.sentinels.count,
		.master = config->redis.master,
		.sentinel_username = config->redis.sentinel_username,
		.sentinel_auth = config->redis.sentinel_auth,
		.username = config->redis.username,
		.auth = config->redis.auth,
		.tls = config->redis.tls,
		.ca_file = config->redis.ca_file,
		.cert_file = config->redis.cert_file,
		.key_file = config->redis.key_file,
		.quiet = !config->redis.asked,
	};
	const bool stream = *config->redis.stream;
	if (config->redis.presence || stream) {
		side->keys = redis_commands_new(loop, "keys", &side->options, 0);
		if (!side->keys)
			return -ENOMEM;
	}
	if (!stream)
		return 0;
	const uint64_t max_age_ns = config->redis.stream_max_age_ns;
	side->reply_store = reply_store_new(&(struct reply_store_options){
		.commands = side->keys,
		.channel = config->redis.channel,
		.node = config->general.node,
		.ttl_ns = max_age_ns > ANSWERS_KEPT_NS ? max_age_ns : ANSWERS_KEPT_NS,
	});
	return side->reply_store ? 0 : -ENOMEM;
}

static void ticket_over(void *ctx, enum job_end end)
{
	struct trigger_ticket *ticket = ctx;
	(void)end;
	ticket->done(ticket);
}

static void receive(void *ctx, const struct trigger_message *message)
{
	const struct job_observer observer = {.over = ticket_over, .durable = true, .ctx = message->ticket};
	const struct job_message request = {
		.origin = message->origin,
		.bytes = message->bytes,
		.size = message->size,
		.id = message->id,
		.published_ns = message->published_ns,
	};
	(void)jobs_submit(ctx, &request, message->ticket ? &observer : NULL);
}

static int start_stream(struct redis_side *side, struct trigger_handler handler)
{
	const struct config *config = side->config;
	const struct redis_stream_options options = {
		.key = config->redis.stream,
		.group = config->redis.group,
		.consumer = config->general.node,
	};
	if (!*config->redis.stream)
		return 0;
	side->stream = redis_stream_new(side->loop, &side->options, &options, side->keys, handler);
	return side->stream ? 0 : -ENOMEM;
}

int redis_side_start(struct redis_side *side, struct jobs *jobs, struct event_bus *bus,
		     const struct node_status *status)
{
	const struct config *config = side->config;
	const struct trigger_handler handler = {.message = receive, .ctx = jobs};
	if (!config->redis.listen)
		return 0;
	side->publisher = event_redis_new(side->loop, &side->options, config->redis.events);
	if (!side->publisher)
		return -ENOMEM;
	int r = event_bus_subscribe(bus, event_redis_subscriber, side->publisher);
	if (r < 0)
		return r;
	if (config->redis.presence)
		side->presence = presence_new(side->loop, status, side->keys, config->redis.channel);
	side->subscriber = redis_pubsub_new(side->loop, &side->options, config->redis.channel, handler);
	if (!side->subscriber || (config->redis.presence && !side->presence))
		return -ENOMEM;
	return start_stream(side, handler);
}

void redis_side_stop(struct redis_side *side)
{
	redis_pubsub_free(take(side->subscriber));
	redis_stream_stop(side->stream);
	presence_leave(side->presence);
}

uint64_t redis_side_pending(const struct redis_side *side)
{
	const bool up = side->keys && redis_commands_up(side->keys);
	const uint64_t events = side->publisher ? event_redis_pending(side->publisher) : 0;
	if (!side->config->redis.asked && !up)
		return 0; /* the embedded form: nobody may ever be there to take them */
	return events + (up ? redis_commands_pending(side->keys) : 0);
}

struct node_redis redis_side_look(const struct redis_side *side)
{
	return (struct node_redis){
		.wanted = side->config->redis.listen && side->config->redis.asked,
		.requests = side->subscriber && redis_pubsub_subscribed(side->subscriber),
		.events = side->publisher && event_redis_up(side->publisher),
		.waiting = redis_side_pending(side),
	};
}

void redis_side_hang_up(struct redis_side *side)
{
	redis_pubsub_free(take(side->subscriber));
	redis_commands_free(take(side->keys));
}

void redis_side_deinit(struct redis_side *side)
{
	redis_side_hang_up(side);
	presence_free(side->presence);
	redis_stream_free(side->stream);
	reply_store_free(side->reply_store);
	event_redis_free(side->publisher);
}
