/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's time is kept relative to boot time, which never steps. An answer belongs to the middle of the time that
 * it took, give or take half of that. Of a few questions in a row the quickest answer counts. The first question waits
 * for the connection, so its answer only shows that this is up.
 */
#include "redis/commands/redis_clock.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/commands/redis_commands.h"

#define CHECK_S 1
#define PERIOD_NS (60 * NS_PER_S)
#define QUESTIONS 4			  /* in a row */
#define UNCERTAINTY_MAX_NS (2 * NS_PER_S) /* a slower answer tells nothing */
#define WARN_NS NS_PER_S

struct redis_clock {
	struct redis_commands *commands;
	struct event *timer;
	bool asking;
	unsigned connections;	/* of `commands` when this row began */
	unsigned questions;	/* left in this row */
	uint64_t asked_ns;	/* boot time of the question under way; 0: it waited for the connection */
	uint64_t next_row_ns;	/* boot time */
	bool known, fresh;	/* fresh: this row has had an answer */
	int64_t beyond_boot_ns; /* the server's real time minus this host's boot time */
	uint64_t uncertainty_ns;
	bool warned, refusal_logged;
};

struct redis_clock_offset redis_clock_offset(const struct redis_clock *clock)
{
	return (struct redis_clock_offset){
		.known = clock->known,
		.offset_ns = clock->known ? clock->beyond_boot_ns - clock_offset_ns() : 0,
		.uncertainty_ns = clock->uncertainty_ns,
	};
}

uint64_t redis_clock_now_ns(const struct redis_clock *clock)
{
	return clock->known ? (uint64_t)((int64_t)clock_boottime_ns() + clock->beyond_boot_ns) : 0;
}

/* --- asking --- */

static bool parse_number(const redisReply *reply, uint64_t most, uint64_t *number)
{
	char *end;

	if (reply->type != REDIS_REPLY_STRING || !reply->len || reply->str[0] < '0' || reply->str[0] > '9')
		return false;
	errno = 0;
	*number = strtoull(reply->str, &end, 10);
	return errno == 0 && !*end && *number <= most;
}

/* Reads seconds and microseconds. */
static bool parse_time(const redisReply *reply, uint64_t *time_ns)
{
	uint64_t seconds, microseconds;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    !parse_number(reply->element[0], INT64_MAX / NS_PER_S - 1, &seconds) ||
	    !parse_number(reply->element[1], 999999, &microseconds))
		return false;
	*time_ns = seconds * NS_PER_S + microseconds * 1000;
	return true;
}

static void warn_if_apart(struct redis_clock *clock)
{
	const struct redis_clock_offset offset = redis_clock_offset(clock);
	const uint64_t apart_ns = (uint64_t)llabs(offset.offset_ns);
	const bool apart = apart_ns > WARN_NS + offset.uncertainty_ns;

	if (apart && !clock->warned)
		log_warning("clock-differs", log_num("redis_ahead_s", (double)offset.offset_ns / NS_PER_S),
			    log_num("uncertainty_s", (double)offset.uncertainty_ns / NS_PER_S),
			    log_str("hint", "is the time synchronised (NTP) on this host and on the Redis server?"));
	else if (!apart && clock->warned && apart_ns + offset.uncertainty_ns < WARN_NS)
		log_notice("clock-agrees", log_num("redis_ahead_s", (double)offset.offset_ns / NS_PER_S));
	else
		return;
	clock->warned = apart;
}

static void take_answer(struct redis_clock *clock, uint64_t server_ns)
{
	const uint64_t now_ns = clock_boottime_ns(), half_ns = (now_ns - clock->asked_ns) / 2;

	if (!clock->asked_ns || half_ns > UNCERTAINTY_MAX_NS || (clock->fresh && half_ns >= clock->uncertainty_ns))
		return;
	clock->known = clock->fresh = true;
	clock->uncertainty_ns = half_ns;
	clock->beyond_boot_ns = (int64_t)server_ns - (int64_t)(clock->asked_ns + half_ns);
}

static void ask(struct redis_clock *clock);

static void on_time(void *ctx, const struct redis_result *answer)
{
	struct redis_clock *clock = ctx;
	uint64_t server_ns;

	clock->asking = false;
	if (answer->code == -ECANCELED)
		return;
	if (answer->code == 0 && parse_time(answer->reply, &server_ns)) {
		take_answer(clock, server_ns);
	} else if (answer->code != -ETIMEDOUT) {
		if (!clock->refusal_logged)
			log_warning("clock-unknown", log_str("error", answer->error ? answer->error : "no time"));
		clock->refusal_logged = true;
		clock->questions = 0;
	}
	if (clock->questions)
		ask(clock);
	else if (clock->fresh)
		warn_if_apart(clock);
}

static void ask(struct redis_clock *clock)
{
	static const char *const argv[] = {"TIME"};
	const struct redis_command command = {.argc = 1, .argv = argv, .idempotent = true};

	clock->asked_ns = redis_commands_up(clock->commands) ? clock_boottime_ns() : 0;
	if (clock->asked_ns)
		clock->questions--;
	else
		clock->connections = redis_commands_connections(clock->commands) + 1;
	clock->asking = redis_commands_send(clock->commands, &command, on_time, clock) == 0;
}

static void start_row(struct redis_clock *clock)
{
	clock->questions = QUESTIONS;
	clock->fresh = false;
	clock->connections = redis_commands_connections(clock->commands);
	clock->next_row_ns = clock_boottime_ns() + PERIOD_NS;
	ask(clock);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct redis_clock *clock = ctx;

	(void)fd;
	(void)what;
	if (!clock->asking && redis_commands_up(clock->commands) &&
	    (clock->connections != redis_commands_connections(clock->commands) ||
	     clock_boottime_ns() >= clock->next_row_ns))
		start_row(clock);
}

/* --- new and free --- */

struct redis_clock *redis_clock_new(struct event_base *loop, struct redis_commands *commands)
{
	cleanup(cleanup_redis_clock) struct redis_clock *clock = calloc(1, sizeof(*clock));
	const struct timeval period = {.tv_sec = CHECK_S};

	if (!clock)
		return NULL;
	clock->commands = commands;
	clock->timer = event_new(loop, -1, EV_PERSIST, on_timer, clock);
	if (!clock->timer || event_add(clock->timer, &period) < 0)
		return NULL;
	start_row(clock);
	return take(clock);
}

void redis_clock_free(struct redis_clock *clock)
{
	if (!clock)
		return;
	if (clock->timer)
		event_free(clock->timer);
	free(clock);
}
