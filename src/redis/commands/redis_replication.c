/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Sentinels (without any: the master, by INFO) report how many replicas are up, asked for after the list was
 * written. Then the master waits until that many have it:
 *
 *   counting ──> EXPIRE, LLEN, WAIT ──all that are up──> replicated
 *       │                └──fewer, or no answer──> settling ──> LLEN ──length unchanged──> replicated
 *       └──no answer, or fewer than before────────────┘
 *
 * A replica that is promoted leaves its master at once. So WAIT at a replaced master counts one too few, while the
 * Sentinels either name the new master, and the link moves to it, or still count the replica; the master's own count
 * falls. WAIT counts from the last write of its own connection, so EXPIRE comes just before it; LLEN does not match if
 * EXPIRE reached another server. With no replica to promote, or if the ACL forbids the commands, there is nothing to
 * wait for.
 */
#include "redis/commands/redis_replication.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/commands/redis_commands.h"
#include "redis/connection/redis_endpoint.h"
#include "redis/connection/redis_link.h"
#include "redis/connection/redis_options.h"
#include "redis/discovery/redis_sentinel.h"

#define COUNT_TIMEOUT_S 2
#define WAIT_MS "500"

enum check_step { CHECK_COUNTING, CHECK_CONFIRMING, CHECK_SETTLING, CHECK_VERIFYING, CHECK_ENDED };

struct redis_replication_check {
	LIST_ENTRY(redis_replication_check) list;
	struct redis_replication *replication; /* NULL once ended */
	enum check_step step;
	struct event *timer;
	char *key, *ttl;
	int64_t length;
	int replicas_before;	  /* at the count before this check */
	int replicas_up;	  /* at this check's count */
	unsigned replies_pending; /* commands without an answer */
	bool length_matches;	  /* LLEN returned `length` */
	bool enough_replicas;	  /* WAIT counted `replicas_up` */
	bool list_lost;		  /* LLEN returned anything else */
	bool unsupported;	  /* the server refuses the commands for good */
	redis_replication_done done;
	void *ctx;
};

struct redis_replication {
	struct event_base *loop;
	struct redis_commands *commands;
	struct redis_sentinel *sentinel; /* NULL: none configured */
	struct redis_endpoint master;	 /* as named by the Sentinel that answers */
	int last_count;			 /* replicas at the last count */
	bool unsupported_logged;
	LIST_HEAD(, redis_replication_check) checks;
};

static void check_free(struct redis_replication_check *check)
{
	if (check->timer)
		event_free(check->timer);
	free(check->key);
	free(check->ttl);
	free(check);
}

CLEANUP_DEFINE(check, struct redis_replication_check, check_free)

/* A check with commands unanswered is freed at the last answer. */
static void end_check(struct redis_replication_check *check)
{
	if (check->step != CHECK_ENDED)
		LIST_REMOVE(check, list);
	check->step = CHECK_ENDED;
	check->replication = NULL;
	event_del(check->timer);
	if (check->replies_pending == 0)
		check_free(check);
}

static void conclude(struct redis_replication_check *check, enum redis_replication_verdict verdict)
{
	redis_replication_done done = check->done;
	void *ctx = check->ctx;

	end_check(check);
	done(ctx, verdict);
}

static void set_timer(struct redis_replication_check *check, uint64_t ns)
{
	const struct timeval wait = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_usec = (suseconds_t)(ns % NS_PER_S / 1000)};

	event_add(check->timer, &wait);
}

static void wait_for_failover(struct redis_replication_check *check)
{
	check->step = CHECK_SETTLING;
	set_timer(check, REDIS_FAILOVER_SETTLE_NS);
}

/* The server refuses for good. Other errors may mean that it is no master any more. */
static void record_unsupported(struct redis_replication_check *check, const struct redis_result *result)
{
	struct redis_replication *replication = check->replication;

	if (!replication || result->code != -EREMOTEIO ||
	    (strncmp(result->error, "NOPERM", 6) != 0 && strncmp(result->error, "ERR unknown command", 19) != 0))
		return;
	check->unsupported = true;
	if (!replication->unsupported_logged)
		log_notice("redis-file-unverified", log_str("error", result->error),
			   log_str("hint",
				   "allow INFO, LLEN and WAIT: without them a failover may lose the file unnoticed"));
	replication->unsupported_logged = true;
}

/* --- EXPIRE, LLEN, WAIT --- */

static void on_all_replies(struct redis_replication_check *check)
{
	if (check->step == CHECK_ENDED) {
		check_free(check);
		return;
	}
	if (check->list_lost) {
		conclude(check, REDIS_LOST);
		return;
	}
	if (check->unsupported) {
		conclude(check, REDIS_REPLICATED);
		return;
	}
	if (check->step == CHECK_VERIFYING) {
		conclude(check, check->length_matches ? REDIS_REPLICATED : REDIS_UNVERIFIED);
		return;
	}
	if (check->length_matches && check->enough_replicas) {
		conclude(check, REDIS_REPLICATED);
		return;
	}
	wait_for_failover(check);
}

static void on_length_reply(void *ctx, const struct redis_result *result)
{
	struct redis_replication_check *check = ctx;

	if (result->code == 0) {
		check->length_matches =
			result->reply->type == REDIS_REPLY_INTEGER && result->reply->integer == check->length;
		check->list_lost = !check->length_matches;
	} else {
		check->list_lost = result->code == -EREMOTEIO && strncmp(result->error, "WRONGTYPE", 9) == 0;
		record_unsupported(check, result);
	}
	if (--check->replies_pending == 0)
		on_all_replies(check);
}

static void on_wait_reply(void *ctx, const struct redis_result *result)
{
	struct redis_replication_check *check = ctx;

	check->enough_replicas = result->code == 0 && result->reply->type == REDIS_REPLY_INTEGER &&
				 result->reply->integer >= check->replicas_up;
	record_unsupported(check, result);
	if (--check->replies_pending == 0)
		on_all_replies(check);
}

static bool send_command(struct redis_replication_check *check, const struct redis_command *command,
			 redis_commands_done done)
{
	if (redis_commands_send(check->replication->commands, command, done, check) < 0)
		return false;
	check->replies_pending++;
	return true;
}

static bool send_length(struct redis_replication_check *check)
{
	const char *const argv[] = {"LLEN", check->key};

	check->length_matches = check->list_lost = false;
	return send_command(check, &(struct redis_command){.argc = 2, .argv = argv, .idempotent = true},
			    on_length_reply);
}

/* Not idempotent: WAIT would count nothing on another connection, which has written nothing. */
static bool send_wait(struct redis_replication_check *check)
{
	char replicas_up[16];
	const char *const argv[] = {"WAIT", replicas_up, WAIT_MS};

	snprintf(replicas_up, sizeof(replicas_up), "%d", check->replicas_up);
	return send_command(check, &(struct redis_command){.argc = 3, .argv = argv, .routing_key = check->key},
			    on_wait_reply);
}

static bool send_write(struct redis_replication_check *check)
{
	const char *const argv[] = {"EXPIRE", check->key, check->ttl};
	const struct redis_command command = {.argc = 3, .argv = argv, .idempotent = true};

	return redis_commands_send(check->replication->commands, &command, NULL, NULL) == 0;
}

static void confirm_with_master(struct redis_replication_check *check)
{
	check->step = CHECK_CONFIRMING;
	check->enough_replicas = false;
	event_del(check->timer);
	if (!send_write(check) || !send_length(check)) {
		wait_for_failover(check);
		return;
	}
	(void)send_wait(check); /* if it fails, enough_replicas stays false */
}

/* `count` replicas are up; negative: unknown. */
static void on_replica_count(struct redis_replication_check *check, int count)
{
	if (count >= 0)
		check->replication->last_count = check->replicas_up = count;
	if (count < 0 || count < check->replicas_before)
		wait_for_failover(check);
	else if (count == 0)
		conclude(check, REDIS_REPLICATED);
	else
		confirm_with_master(check);
}

static void verify_list(struct redis_replication_check *check)
{
	check->step = CHECK_VERIFYING;
	if (!send_length(check))
		conclude(check, REDIS_UNVERIFIED);
}

/* --- the Sentinels' count --- */

/* The first check that is counting. Search again after each callback, which may end any check. */
static struct redis_replication_check *find_counting(const struct redis_replication *replication)
{
	struct redis_replication_check *check;

	LIST_FOREACH(check, &replication->checks, list)
	if (check->step == CHECK_COUNTING)
		break;
	return check;
}

static void on_master(void *ctx, const struct redis_endpoint *endpoint)
{
	struct redis_replication *replication = ctx;

	replication->master = *endpoint;
}

static void on_replicas(void *ctx, int count)
{
	struct redis_replication *replication = ctx;
	const bool other_master =
		!redis_endpoint_equal(&replication->master, redis_commands_endpoint(replication->commands));
	struct redis_replication_check *check;

	while ((check = find_counting(replication)))
		on_replica_count(check, other_master ? -1 : count);
}

static void on_failed(void *ctx, const char *reason)
{
	(void)reason;
	on_replicas(ctx, -1);
}

/* --- the master's own count --- */

/* Counts the online replicas in INFO's lines "slave0:ip=…,port=…,state=online,offset=…,lag=…". */
static int count_online(const char *info)
{
	int count = 0;

	for (const char *line = info; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "slave", 5) == 0 && isdigit((unsigned char)line[5])) {
			const char *state = strstr(line, "state=online");

			count += state && state < line + strcspn(line, "\n");
		}
	}
	return count;
}

static void on_info_reply(void *ctx, const struct redis_result *result)
{
	struct redis_replication_check *check = ctx;

	check->replies_pending--;
	if (check->step != CHECK_COUNTING) { /* too late, perhaps after later answers */
		if (check->replies_pending == 0 && check->step != CHECK_SETTLING)
			on_all_replies(check);
		return;
	}
	record_unsupported(check, result);
	if (check->unsupported) {
		conclude(check, REDIS_REPLICATED);
		return;
	}
	on_replica_count(check, result->code == 0 && result->reply->str ? count_online(result->reply->str) : -1);
}

static void count_replicas(struct redis_replication_check *check)
{
	const char *const argv[] = {"INFO", "replication"};
	const struct redis_command command = {.argc = 2, .argv = argv, .routing_key = check->key, .idempotent = true};

	set_timer(check, COUNT_TIMEOUT_S * NS_PER_S);
	if (check->replication->sentinel)
		redis_sentinel_ask(check->replication->sentinel);
	else if (!send_command(check, &command, on_info_reply))
		wait_for_failover(check);
}

/* --- checks --- */

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_replication_check *check = ctx;

	(void)fd;
	(void)what;
	if (check->step == CHECK_COUNTING)
		wait_for_failover(check);
	else if (check->step == CHECK_SETTLING)
		verify_list(check);
}

struct redis_replication_check *redis_replication_check(struct redis_replication *replication, const char *key,
							int64_t length, const char *ttl, redis_replication_done done,
							void *ctx)
{
	cleanup(cleanup_check) struct redis_replication_check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	check->replication = replication;
	check->replicas_before = replication->last_count;
	check->length = length;
	check->done = done;
	check->ctx = ctx;
	check->key = strdup(key);
	check->ttl = strdup(ttl);
	check->timer = evtimer_new(replication->loop, on_timer, check);
	if (!check->key || !check->ttl || !check->timer)
		return NULL;
	LIST_INSERT_HEAD(&replication->checks, check, list);
	count_replicas(check);
	return take(check);
}

void redis_replication_cancel(struct redis_replication_check *check)
{
	if (check)
		end_check(check);
}

struct redis_replication *redis_replication_new(struct event_base *loop, const struct redis_options *options,
						struct redis_commands *commands)
{
	cleanup(cleanup_redis_replication) struct redis_replication *replication = calloc(1, sizeof(*replication));
	const struct redis_sentinel_handler handler = {.master = on_master,
						       .replicas = on_replicas,
						       .failed = on_failed,
						       .ctx = replication};

	if (!replication)
		return NULL;
	LIST_INIT(&replication->checks);
	replication->loop = loop;
	replication->commands = commands;
	if (options->sentinel_count > 0)
		replication->sentinel = redis_sentinel_new(loop, options, handler);
	return replication->sentinel || options->sentinel_count == 0 ? take(replication) : NULL;
}

void redis_replication_free(struct redis_replication *replication)
{
	struct redis_replication_check *check;

	if (!replication)
		return;
	while ((check = LIST_FIRST(&replication->checks)))
		end_check(check);
	redis_sentinel_free(replication->sentinel);
	free(replication);
}
