/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An existing group continues where it stands. If there is none, this node is new, and begins with entries published
 * from now on; or the group was lost (this run had one, or the registry knows the node), and it begins with all entries
 * that are not too old.
 */
#include "trigger/redis_stream_group.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/commands/redis_clock.h"
#include "redis/commands/redis_commands.h"
#include "trigger/redis_stream.h"

#define CLOCK_WAITS_MAX 3 /* openings put off until the server's time is known */
#define LOGS_PER_SECOND 1
#define ID_SIZE 32 /* a number of 20 digits */

struct redis_stream_group {
	const struct redis_stream_options *options;
	struct redis_commands *keys, *reader;
	void (*done)(void *ctx, enum redis_stream_group_outcome outcome);
	void *ctx;
	bool registry_read;
	bool known; /* this run had the group, or the registry knows the node */
	bool was_open;
	unsigned clock_waits;
	struct log_rate rate;
};

static void warn(struct redis_stream_group *group, const char *id, const char *error)
{
	uint64_t suppressed;

	if (log_rate_allow(&group->rate, &suppressed))
		log_warning(id, log_str("stream", group->options->key), log_str("group", group->options->group),
			    log_str("error", error), log_uint("suppressed", suppressed));
}

/* --- is this node known? --- */

static void on_registry(void *ctx, const struct redis_result *answer)
{
	struct redis_stream_group *group = ctx;

	if (answer->code == -ECANCELED)
		return;
	if (answer->code != -ETIMEDOUT) { /* else again at once, so that it comes before this run's own presence */
		if (answer->code < 0)
			warn(group, "stream-registry-unread", answer->error);
		group->known = answer->code == 0 && answer->reply->type == REDIS_REPLY_STRING;
		group->registry_read = true;
	}
	group->done(group->ctx, REDIS_STREAM_GROUP_NOT_YET);
}

static int ask_registry(struct redis_stream_group *group)
{
	const char *const argv[] = {"ZSCORE", group->options->registry_key, group->options->stream_consumer};
	const struct redis_command command = {.argc = 3, .argv = argv, .idempotent = true};

	return redis_commands_send(group->keys, &command, on_registry, group);
}

/* --- making it --- */

static void on_made(void *ctx, const struct redis_result *answer)
{
	struct redis_stream_group *group = ctx;
	const struct redis_stream_options *options = group->options;

	if (answer->code == -ECANCELED)
		return;
	if (answer->code < 0 && (answer->code != -EREMOTEIO || strncmp(answer->error, "BUSYGROUP", 9) != 0)) {
		if (answer->code != -ETIMEDOUT) /* the link reports an absent Redis */
			warn(group, "stream-group-failed", answer->error);
		group->done(group->ctx, REDIS_STREAM_GROUP_FAILED);
		return;
	}
	if (answer->code == 0 && group->known)
		log_warning("stream-group-lost", log_str("stream", options->key), log_str("group", options->group),
			    log_str("hint", "it was made again and begins with all entries that are not too old"));
	if (!group->was_open)
		log_notice("stream-subscribed", log_str("stream", options->key), log_str("group", options->group));
	group->was_open = group->known = true;
	group->done(group->ctx, REDIS_STREAM_GROUP_THERE);
}

/* The id after which a group begins that was lost. With the clock unknown, all: those too old are refused. */
static void oldest_id(const struct redis_stream_options *options, char id[static ID_SIZE])
{
	const uint64_t now_ns = redis_clock_now_ns(options->clock), max_age_ns = options->max_age_ns;

	if (max_age_ns && now_ns > max_age_ns)
		snprintf(id, ID_SIZE, "%" PRIu64, (now_ns - max_age_ns) / NS_PER_MS);
	else
		snprintf(id, ID_SIZE, "0");
}

static int make_group(struct redis_stream_group *group)
{
	const struct redis_stream_options *options = group->options;
	char start[ID_SIZE] = "$";
	const char *const argv[] = {"XGROUP", "CREATE", options->key, options->group, start, "MKSTREAM"};
	const struct redis_command command = {.argc = 6, .argv = argv, .key = 2, .idempotent = true};

	if (group->known && options->max_age_ns && !redis_clock_now_ns(options->clock) &&
	    group->clock_waits++ < CLOCK_WAITS_MAX)
		return -EAGAIN; /* its first answer is on the way */
	if (group->known)
		oldest_id(options, start);
	return redis_commands_send(group->reader, &command, on_made, group);
}

/* --- the interface --- */

struct redis_stream_group *redis_stream_group_new(const struct redis_stream_options *options,
						  struct redis_commands *keys, struct redis_commands *reader,
						  void (*done)(void *ctx, enum redis_stream_group_outcome outcome),
						  void *ctx)
{
	struct redis_stream_group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->options = options;
	group->keys = keys;
	group->reader = reader;
	group->done = done;
	group->ctx = ctx;
	group->rate.burst = LOGS_PER_SECOND;
	return group;
}

void redis_stream_group_free(struct redis_stream_group *group)
{
	free(group);
}

int redis_stream_group_open(struct redis_stream_group *group)
{
	return group->registry_read ? make_group(group) : ask_registry(group);
}
