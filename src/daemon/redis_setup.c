/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three connections, or four with a stream: publisher, subscriber, keys, stream. A connection that is subscribed or
 * blocks can do nothing else.
 */
#include "daemon/redis_setup.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "daemon/secrets.h"
#include "event/event.h"
#include "event/event_bus.h"
#include "event/event_redis.h"
#include "job/jobs.h"
#include "job/reply_store.h"
#include "redis/commands/redis_clock.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_links.h"
#include "status/presence.h"
#include "trigger/redis_pubsub.h"
#include "trigger/redis_stream.h"

#define ROLE_INTERVAL_NS (3 * NS_PER_S) /* the publisher asks for all links whether the server is still the master */
#define REPLIES_TTL_MIN_NS (S_PER_DAY * NS_PER_S)

struct redis_options redis_setup_options(const struct config_redis *settings)
{
	return (struct redis_options){
		.host = settings->host,
		.port = (uint16_t)settings->port,
		.nodes = settings->nodes.items,
		.node_count = settings->nodes.count,
		.cluster = settings->cluster,
		.sentinels = settings->sentinels.items,
		.sentinel_count = settings->sentinels.count,
		.master = settings->master,
		.sentinel_username = settings->sentinel_username,
		.username = settings->username,
		.tls = settings->tls,
		.ca_file = settings->ca_file,
		.cert_file = settings->cert_file,
		.key_file = settings->key_file,
		.any_role = settings->allow_replica,
	};
}

int redis_setup_init(struct redis_setup *setup, struct event_base *loop, const struct config *config,
		     const struct secrets *secrets)
{
	setup->loop = loop;
	setup->config = config;
	if (!config->redis.listen)
		return 0;
	setup->links = redis_links_new();
	if (!setup->links)
		return -ENOMEM;
	setup->options = redis_setup_options(&config->redis);
	setup->options.secret = secrets->redis;
	setup->options.sentinel_secret = secrets->sentinel;
	setup->options.links = setup->links;
	setup->options.quiet = !config->redis.configured;
	const bool stream = *config->redis.stream;
	if (config->redis.presence || stream) {
		setup->keys = redis_commands_new(loop, "keys", &setup->options, 0);
		setup->clock = setup->keys ? redis_clock_new(loop, setup->keys) : NULL;
		if (!setup->clock)
			return -ENOMEM;
	}
	if (!stream)
		return 0;
	const uint64_t max_age_ns = config->redis.stream_max_age_ns;
	setup->reply_store = reply_store_new(&(struct reply_store_options){
		.commands = setup->keys,
		.channel = config->redis.channel,
		.node = config->general.node,
		.ttl_ns = max_age_ns > REPLIES_TTL_MIN_NS ? max_age_ns : REPLIES_TTL_MIN_NS,
	});
	return setup->reply_store ? 0 : -ENOMEM;
}

/* Once, at start: what a stranger could read or publish. */
static void warn_of_exposure(const struct config *config)
{
	const bool certified = config->redis.tls && *config->redis.cert_file;

	if (!*config->redis.auth && !certified)
		log_warning("redis-unauthenticated", log_str("host", config->redis.host),
			    log_uint("port", config->redis.port),
			    log_str("hint", "clients of this Redis, and a stranger's Redis in its place, can ask for "
					    "packets; set redis.auth_file and redis.tls, or requests.keys_file"));
	else if (*config->redis.auth && !config->redis.tls)
		log_warning("redis-password-in-clear", log_str("host", config->redis.host),
			    log_uint("port", config->redis.port),
			    log_str("hint", "whatever is on the way to this address can read it; set redis.tls"));
}

static void on_job_finished(void *ctx, enum job_outcome outcome)
{
	struct trigger_ticket *ticket = ctx;

	if (outcome == JOB_PUT_OFF)
		ticket->later(ticket);
	else
		ticket->done(ticket);
}

static void on_trigger_message(void *ctx, const struct trigger_message *message)
{
	const struct redis_setup *setup = ctx;
	const struct job_observer observer = {.finished = on_job_finished, .durable = true, .ctx = message->ticket};
	const struct job_message request = {
		.origin = message->origin,
		.bytes = message->bytes,
		.size = message->size,
		.id = message->id,
		.published_ns = message->published_ns,
		.published_error_ns = message->published_error_ns,
		.refusal = message->refusal,
		.allowed = &setup->config->requests,
	};

	(void)jobs_submit(setup->jobs, &request, message->ticket ? &observer : NULL);
}

static int start_stream(struct redis_setup *setup, struct trigger_handler handler)
{
	const struct config *config = setup->config;
	cleanup(cleanup_free) char *registry = NULL, *crashes = NULL;

	if (!*config->redis.stream)
		return 0;
	if (asprintf(&registry, "{%s}:nodes", config->redis.channel) < 0)
		registry = NULL;
	if (asprintf(&crashes, "{%s}:crashes:%s", config->redis.channel, config->general.node) < 0)
		crashes = NULL;
	if (!registry || !crashes)
		return -ENOMEM;
	const struct redis_stream_options options = {
		.key = config->redis.stream,
		.group = config->redis.group,
		.stream_consumer = config->general.node,
		.registry_key = registry,
		.crashes_key = crashes,
		.clock = setup->clock,
		.max_age_ns = config->redis.stream_max_age_ns,
	};
	setup->stream = redis_stream_new(setup->loop, &setup->options, &options, setup->keys, handler);
	return setup->stream ? 0 : -ENOMEM;
}

static void on_name_taken(void *ctx, const char *host)
{
	const struct redis_setup *setup = ctx;
	const char *node = setup->config->general.node;
	struct error reason;

	error_set(&reason, 0,
		  "another daemon calls itself \"%s\", too%s%s: requests from a stream reach only one of them", node,
		  *host ? ", on host " : "", host);
	const struct event event = {.kind = EVENT_WARNING,
				    .node = node,
				    .time_ns = clock_realtime_ns(),
				    .reason = reason.text};
	event_bus_publish(setup->bus, &event);
}

int redis_setup_start(struct redis_setup *setup, struct jobs *jobs, struct event_bus *bus,
		      const struct node_status *status)
{
	const struct config *config = setup->config;
	const struct trigger_handler handler = {.message = on_trigger_message, .ctx = setup};

	setup->jobs = jobs;
	if (!config->redis.listen)
		return 0;
	warn_of_exposure(config);
	setup->bus = bus;
	struct redis_options publisher = setup->options;
	publisher.ping_interval_ns = ROLE_INTERVAL_NS;
	setup->publisher = event_redis_new(setup->loop, &publisher, config->redis.events);
	if (!setup->publisher)
		return -ENOMEM;
	int r = event_bus_subscribe(bus, event_redis_subscriber, setup->publisher);
	if (r < 0)
		return r;
	if (config->redis.presence)
		setup->presence = presence_new(&(struct presence_options){
			.loop = setup->loop,
			.status = status,
			.commands = setup->keys,
			.clock = setup->clock,
			.channel = config->redis.channel,
			.name_taken = on_name_taken,
			.ctx = setup,
		});
	setup->subscriber = redis_pubsub_new(setup->loop, &setup->options, config->redis.channel, handler);
	if (!setup->subscriber || (config->redis.presence && !setup->presence))
		return -ENOMEM;
	return start_stream(setup, handler);
}

void redis_setup_stop(struct redis_setup *setup)
{
	redis_pubsub_free(take(setup->subscriber));
	redis_stream_stop(setup->stream);
	presence_leave(setup->presence);
}

uint64_t redis_setup_pending(const struct redis_setup *setup)
{
	const bool up = setup->keys && redis_commands_up(setup->keys);
	const uint64_t events = setup->publisher ? event_redis_pending(setup->publisher) : 0;

	if (!setup->config->redis.configured && !up)
		return 0; /* there may never be a Redis to take them */
	return events + (up ? redis_commands_pending(setup->keys) : 0);
}

struct node_redis redis_setup_status(const struct redis_setup *setup)
{
	const struct redis_clock_offset clock =
		setup->clock ? redis_clock_offset(setup->clock) : (struct redis_clock_offset){0};
	const struct redis_stream_counts stream =
		setup->stream ? redis_stream_counts(setup->stream) : (struct redis_stream_counts){0};

	return (struct node_redis){
		.wanted = setup->config->redis.listen && setup->config->redis.configured,
		.requests = setup->subscriber && redis_pubsub_subscribed(setup->subscriber),
		.events = setup->publisher && event_redis_up(setup->publisher),
		.waiting = redis_setup_pending(setup),
		.name_taken = setup->presence && presence_name_taken(setup->presence),
		.clock_known = clock.known,
		.clock_offset_ns = clock.offset_ns,
		.clock_uncertainty_ns = clock.uncertainty_ns,
		.stream_wanted = setup->stream,
		.stream_running = stream.taken,
		.stream_waiting = stream.put_off,
		.stream_pauses = stream.pauses,
	};
}

void redis_setup_disconnect(struct redis_setup *setup)
{
	redis_pubsub_free(take(setup->subscriber));
	redis_commands_free(take(setup->keys));
	redis_clock_free(take(setup->clock));
}

void redis_setup_deinit(struct redis_setup *setup)
{
	redis_setup_disconnect(setup);
	presence_free(setup->presence);
	redis_stream_free(setup->stream);
	reply_store_free(setup->reply_store);
	event_redis_free(setup->publisher);
	redis_links_free(setup->links);
}
