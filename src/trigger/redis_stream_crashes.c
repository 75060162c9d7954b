/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An entry that is pending at the start was being worked on when the daemon ended without a stop, so it may be the
 * cause. Each such end is counted before the entry is passed on (HINCRBY), in a hash of this node's own.
 */
#include "trigger/redis_stream_crashes.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <string.h>

#include "base/log.h"
#include "redis/commands/redis_commands.h"
#include "trigger/redis_stream.h"

#define CRASHES_MAX 3
#define CRASHES_TTL_MS "604800000" /* of their count, after the last */
#define DEAD_LENGTH "10000"	   /* entries kept in the dead stream, approximately */
#define LOGS_PER_SECOND 1

struct redis_stream_crashes {
	const struct redis_stream_options *options;
	struct redis_commands *keys;
	char *dead_key;
	bool counted; /* the server may have counts that are no longer needed */
	bool stopped;
	struct log_rate rate;
};

/* One entry while it is being judged. */
struct trial {
	struct redis_stream_crashes *crashes;
	struct redis_stream_suspect suspect; /* owns its strings */
};

static void trial_free(struct trial *trial)
{
	if (!trial)
		return;
	free((char *)(uintptr_t)trial->suspect.id);
	free((char *)(uintptr_t)trial->suspect.value);
	free(trial);
}

CLEANUP_DEFINE(trial, struct trial, trial_free)

static struct trial *trial_new(struct redis_stream_crashes *crashes, const struct redis_stream_suspect *suspect)
{
	cleanup(cleanup_trial) struct trial *trial = calloc(1, sizeof(*trial));
	char *value = malloc(suspect->size + 1);

	if (!trial || !value) {
		free(value);
		return NULL;
	}
	memcpy(value, suspect->value, suspect->size);
	value[suspect->size] = '\0';
	trial->crashes = crashes;
	trial->suspect = *suspect;
	trial->suspect.value = value;
	trial->suspect.id = strdup(suspect->id);
	return trial->suspect.id ? take(trial) : NULL;
}

static void warn(struct redis_stream_crashes *crashes, const char *id, const char *error)
{
	uint64_t suppressed;

	if (log_rate_allow(&crashes->rate, &suppressed))
		log_warning(id, log_str("stream", crashes->options->key), log_str("group", crashes->options->group),
			    log_str("error", error), log_uint("suppressed", suppressed));
}

static void pronounce(struct trial *trial, enum redis_stream_verdict verdict)
{
	const struct redis_stream_suspect *suspect = &trial->suspect;

	suspect->judged(suspect->ctx, verdict, suspect->value, suspect->size);
	trial_free(trial);
}

static void on_moved(void *ctx, const struct redis_result *answer)
{
	struct trial *trial = ctx;
	struct redis_stream_crashes *crashes = trial->crashes;

	if (answer->code == -ECANCELED) {
		trial_free(trial);
		return;
	}
	if (answer->code < 0)
		warn(crashes, "stream-entry-not-moved", answer->error);
	log_error("stream-entry-dead", log_str("stream", crashes->options->key), log_str("entry", trial->suspect.id),
		  log_str("moved_to", answer->code < 0 ? "" : crashes->dead_key));
	pronounce(trial, REDIS_STREAM_ENTRY_DEAD);
}

static void move(struct trial *trial)
{
	const struct redis_stream_crashes *crashes = trial->crashes;
	const char *const argv[] = {"XADD",
				    crashes->dead_key,
				    "MAXLEN",
				    "~",
				    DEAD_LENGTH,
				    "*",
				    REDIS_STREAM_FIELD,
				    trial->suspect.value,
				    "entry",
				    trial->suspect.id,
				    "node",
				    crashes->options->stream_consumer};
	enum { WORDS = sizeof(argv) / sizeof(*argv), VALUE = 7 };
	size_t sizes[WORDS];
	const struct redis_command command = {.argc = WORDS, .argv = argv, .argvlen = sizes, .idempotent = true};

	for (size_t i = 0; i < WORDS; i++)
		sizes[i] = i == VALUE ? trial->suspect.size : strlen(argv[i]);
	if (redis_commands_send(crashes->keys, &command, on_moved, trial) < 0)
		pronounce(trial, REDIS_STREAM_ENTRY_LATER);
}

static void on_counted(void *ctx, const struct redis_result *answer)
{
	struct trial *trial = ctx;
	struct redis_stream_crashes *crashes = trial->crashes;

	if (answer->code == -ECANCELED || crashes->stopped) {
		trial_free(trial);
		return;
	}
	if (answer->code < 0)
		warn(crashes, "stream-crashes-uncounted", answer->error);
	if (answer->code == 0 && answer->reply->type == REDIS_REPLY_INTEGER && answer->reply->integer >= CRASHES_MAX)
		move(trial);
	else
		pronounce(trial, REDIS_STREAM_ENTRY_RUNS);
}

int redis_stream_crashes_judge(struct redis_stream_crashes *crashes, const struct redis_stream_suspect *suspect)
{
	const char *const argv[] = {"HINCRBY", crashes->options->crashes_key, suspect->id, "1"};
	const char *const expiry[] = {"PEXPIRE", crashes->options->crashes_key, CRASHES_TTL_MS};
	const struct redis_command command = {.argc = 4, .argv = argv};
	const struct redis_command expire = {.argc = 3, .argv = expiry, .idempotent = true};
	cleanup(cleanup_trial) struct trial *trial = trial_new(crashes, suspect);

	if (!trial)
		return -ENOMEM;
	const int r = redis_commands_send(crashes->keys, &command, on_counted, trial);
	if (r < 0)
		return r;
	(void)take(trial);
	crashes->counted = true;
	(void)!redis_commands_send(crashes->keys, &expire, NULL, NULL);
	return 0;
}

void redis_stream_crashes_forget(struct redis_stream_crashes *crashes)
{
	const char *const argv[] = {"DEL", crashes->options->crashes_key};
	const struct redis_command command = {.argc = 2, .argv = argv, .idempotent = true};

	if (crashes->counted && redis_commands_send(crashes->keys, &command, NULL, NULL) == 0)
		crashes->counted = false;
}

void redis_stream_crashes_stop(struct redis_stream_crashes *crashes)
{
	crashes->stopped = true;
	if (redis_commands_up(crashes->keys))
		redis_stream_crashes_forget(crashes);
}

struct redis_stream_crashes *redis_stream_crashes_new(const struct redis_stream_options *options,
						      struct redis_commands *keys)
{
	struct redis_stream_crashes *crashes = calloc(1, sizeof(*crashes));

	if (!crashes)
		return NULL;
	if (asprintf(&crashes->dead_key, "%s:dead", options->key) < 0) {
		free(crashes);
		return NULL;
	}
	crashes->options = options;
	crashes->keys = keys;
	crashes->counted = true; /* by an earlier run */
	crashes->rate.burst = LOGS_PER_SECOND;
	return crashes;
}

void redis_stream_crashes_free(struct redis_stream_crashes *crashes)
{
	if (!crashes)
		return;
	free(crashes->dead_key);
	free(crashes);
}
