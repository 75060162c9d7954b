/* SPDX-License-Identifier: BSD-2-Clause */
/* An input is a trigger whose messages go to the alert rules; requests go to the jobs, as those of other triggers. */
#include "daemon/alert_setup.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "alert/alert_format.h"
#include "base/log.h"
#include "base/network_interface.h"
#include "config/config.h"
#include "job/alert_accounts.h"
#include "job/alert_runner.h"
#include "job/jobs.h"
#include "redis/commands/redis_commands.h"
#include "trigger/datagram_input.h"
#include "trigger/file_input.h"
#include "trigger/line_input.h"
#include "trigger/redis_pubsub.h"
#include "trigger/redis_queue.h"

struct alert_input {
	const struct alert_setup *setup;
	const struct config_input *config;
	enum alert_format format;
	/* One of these; the others are NULL. */
	struct redis_pubsub *channel;
	struct redis_queue *queue;
	struct datagram_input *datagrams;
	struct line_input *lines;
	struct file_input *file;
};

static bool has_interface(void *ctx, const char *name)
{
	struct network_interface interface;

	(void)ctx;
	return network_interface_find(name, &interface) == 0;
}

/* --- publishing --- */

static void warn_of_loss(struct alert_setup *setup, const char *error)
{
	uint64_t suppressed;

	if (log_rate_allow(&setup->lost_rate, &suppressed))
		log_warning("publish-failed", log_str("channel", setup->config->redis.channel), log_str("error", error),
			    log_uint("suppressed", suppressed));
}

/* A Cluster's server counts its own subscribers only. */
static void on_published(void *ctx, const struct redis_result *result)
{
	struct alert_setup *setup = ctx;
	const struct config *config = setup->config;
	const bool one_server = !config->redis.cluster && !config->redis.nodes.count;

	if (result->code < 0 && result->code != -ECANCELED)
		warn_of_loss(setup, result->error);
	else if (result->code == 0 && one_server && result->reply->type == REDIS_REPLY_INTEGER &&
		 !result->reply->integer)
		warn_of_loss(setup, "no node is subscribed");
}

/* Not idempotent: a signature is good for once, so a repetition would be refused as a replay. */
static int publish(void *ctx, const char *text, size_t size, struct error *err)
{
	struct alert_setup *setup = ctx;
	const char *const argv[] = {"PUBLISH", setup->config->redis.channel, text};
	const size_t sizes[] = {strlen("PUBLISH"), strlen(argv[1]), size};
	const struct redis_command command = {.argc = 3, .argv = argv, .argvlen = sizes, .key = 3};

	if (!setup->publisher)
		return error_set(err, -ENOTCONN, "publish needs Redis: [redis] listen is false");
	const int r = redis_commands_send(setup->publisher, &command, on_published, setup);
	return r < 0 ? error_set(err, r, "publish: %s", strerror(-r)) : 0;
}

static void on_fleet_event(void *ctx, const struct trigger_message *message)
{
	const struct alert_setup *setup = ctx;

	alert_runner_take_event(setup->runner, message->bytes, message->size);
}

/* The events of all nodes are many: only a rules host takes them. */
static void follow_events(void *ctx)
{
	struct alert_setup *setup = ctx;
	const struct trigger_handler handler = {.message = on_fleet_event, .ctx = setup};
	const bool wanted = setup->redis && alert_runner_publishes(setup->runner);

	if (!wanted)
		redis_pubsub_free(take(setup->events));
	else if (!setup->events)
		setup->events = redis_pubsub_new(setup->loop, setup->redis, setup->config->redis.events, handler);
	if (wanted && !setup->events)
		log_error("events-unfollowed", log_str("error", "out of memory"));
}

static int start_publisher(struct alert_setup *setup, struct event_base *loop, const struct redis_options *redis,
			   struct error *err)
{
	if (!setup->config->redis.listen || !*setup->config->rules.files)
		return 0;
	setup->publisher = redis_commands_new(loop, "rules", redis, 0);
	setup->redis = redis;
	follow_events(setup);
	return setup->publisher ? 0 : error_set(err, -ENOMEM, "out of memory");
}

/* --- rules --- */

int alert_setup_init(struct alert_setup *setup, struct event_base *loop, const struct config *config, struct jobs *jobs,
		     struct event_bus *bus, struct error *err)
{
	*setup = (struct alert_setup){.config = config, .jobs = jobs, .loop = loop, .lost_rate.burst = 1};
	setup->runner = alert_runner_new(
		&(struct alert_runner_options){
			.loop = loop,
			.config = config,
			.jobs = jobs,
			.bus = bus,
			.has_interface = has_interface,
			.publish = publish,
			.rules_changed = follow_events,
			.ctx = setup,
		},
		err);
	return setup->runner ? 0 : -EINVAL;
}

/* --- inputs --- */

static void submit(const struct alert_setup *setup, const struct trigger_message *message)
{
	const struct job_message request = {
		.origin = message->origin,
		.bytes = message->bytes,
		.size = message->size,
		.allowed = &setup->config->requests,
	};

	(void)jobs_submit(setup->jobs, &request, NULL);
}

/* What is wrong with a message is counted and logged by the runner, or reported by the jobs. */
static void on_message(void *ctx, const struct trigger_message *message)
{
	const struct alert_input *input = ctx;
	struct alert_outcome outcome;
	struct error ignored;

	struct alert_runner *runner = input->setup->runner;

	if (message->refusal) {
		alert_runner_refuse(runner, input->config, input->format, message->refusal);
		return;
	}
	if (input->format != ALERT_FORMAT_REQUEST)
		alert_runner_take(runner, input->config, input->format, message->bytes, message->size, &outcome,
				  &ignored);
	else if (alert_runner_take_request(runner, input->config, message->bytes, message->size, &ignored) == 0)
		submit(input->setup, message);
}

static bool start_channel(struct alert_input *input, struct event_base *loop, const struct redis_options *redis,
			  struct trigger_handler handler, struct error *err)
{
	error_set(err, -ENOMEM, "out of memory");
	input->channel = redis_pubsub_new(loop, redis, input->config->name, handler);
	return input->channel;
}

static bool start_list(struct alert_input *input, struct event_base *loop, const struct redis_options *redis,
		       struct trigger_handler handler, struct error *err)
{
	error_set(err, -ENOMEM, "out of memory");
	input->queue = redis_queue_new(loop, redis, REDIS_QUEUE_LIST, input->config->name, "", handler);
	return input->queue;
}

static bool start_stream(struct alert_input *input, struct event_base *loop, const struct redis_options *redis,
			 struct trigger_handler handler, struct error *err)
{
	error_set(err, -ENOMEM, "out of memory");
	input->queue =
		redis_queue_new(loop, redis, REDIS_QUEUE_STREAM, input->config->name, input->config->field, handler);
	return input->queue;
}

static bool start_datagrams(struct alert_input *input, struct event_base *loop, const struct redis_options *redis,
			    struct trigger_handler handler, struct error *err)
{
	(void)redis;
	input->datagrams = datagram_input_new(loop, input->config->name, handler, err);
	return input->datagrams;
}

static bool start_lines(struct alert_input *input, struct event_base *loop, const struct redis_options *redis,
			struct trigger_handler handler, struct error *err)
{
	const struct line_input_tls tls = {
		.cert_file = input->config->cert_file,
		.key_file = input->config->key_file,
		.ca_file = input->config->ca_file,
	};
	const bool has_tls = strcmp(input->config->from, "tls") == 0;

	(void)redis;
	input->lines = line_input_new(loop, input->config->name, has_tls ? &tls : NULL, handler, err);
	return input->lines;
}

static bool start_file(struct alert_input *input, struct event_base *loop, const struct redis_options *redis,
		       struct trigger_handler handler, struct error *err)
{
	(void)redis;
	input->file = file_input_new(loop, input->config->name, handler, err);
	return input->file;
}

/* By the names that the configuration's table has for them. */
static const struct {
	const char *from;
	bool (*start)(struct alert_input *input, struct event_base *loop, const struct redis_options *redis,
		      struct trigger_handler handler, struct error *err);
} kinds[] = {
	{"redis-channel", start_channel},
	{"redis-list", start_list},
	{"redis-stream", start_stream},
	{"unix-dgram", start_datagrams},
	{"udp", start_datagrams},
	{"unix-stream", start_lines},
	{"tcp", start_lines},
	{"tls", start_lines},
	{"file", start_file},
};

static int start_input(struct alert_input *input, struct event_base *loop, const struct redis_options *redis,
		       struct error *err)
{
	const struct trigger_handler handler = {.message = on_message, .ctx = input};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].from, input->config->from) != 0)
			continue;
		if (kinds[i].start(input, loop, redis, handler, err))
			return 0;
		error_prefix(err, "input.name");
		return -EINVAL;
	}
	return error_set(err, -EINVAL, "input.from: %s is unknown", input->config->from);
}

int alert_setup_start(struct alert_setup *setup, struct event_base *loop, const struct config *config,
		      const struct redis_options *redis, struct error *err)
{
	int r = start_publisher(setup, loop, redis, err);

	if (r < 0)
		return r;
	setup->inputs = calloc(config->input_count + 1, sizeof(*setup->inputs));
	if (!setup->inputs)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < config->input_count; i++) {
		struct alert_input *input = &setup->inputs[setup->input_count++];

		input->setup = setup;
		input->config = &config->inputs[i];
		input->format = alert_format_find(input->config->format);
		r = start_input(input, loop, redis, err);
	}
	return r;
}

static void stop_input(struct alert_input *input)
{
	redis_pubsub_free(take(input->channel));
	redis_queue_free(take(input->queue));
	datagram_input_free(take(input->datagrams));
	line_input_free(take(input->lines));
	file_input_free(take(input->file));
}

void alert_setup_stop(struct alert_setup *setup)
{
	setup->redis = NULL; /* rules that are read from now on follow no events */
	redis_pubsub_free(take(setup->events));
	for (size_t i = 0; i < setup->input_count; i++)
		stop_input(&setup->inputs[i]);
	if (setup->runner)
		alert_accounts_report(alert_runner_accounts(setup->runner));
}

void alert_setup_deinit(struct alert_setup *setup)
{
	alert_setup_stop(setup);
	free(take(setup->inputs));
	redis_commands_free(take(setup->publisher));
	alert_runner_free(take(setup->runner));
}
