/* SPDX-License-Identifier: BSD-2-Clause */
/* Sinks are made as the daemon makes them, on a loop that ends with the check. */
#include "daemon/destination_trial.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/slab_pool.h"
#include "config/config.h"
#include "daemon/redis_setup.h"
#include "daemon/secrets.h"
#include "daemon/sink_setup.h"
#include "sink/destination_check.h"

struct trial {
	struct event_base *loop;
	struct secrets secrets;
	struct slab_pool *slabs;
	struct sink_setup sinks;
	int failed;
};

static void on_checked(void *ctx, const struct destination_check_result *results, size_t count)
{
	struct trial *trial = ctx;

	for (size_t i = 0; i < count; i++) {
		const struct destination_check_result *result = &results[i];
		const char *where = result->url ? result->url : result->address;

		trial->failed += !result->ok;
		printf("%s: %s (%s)%s%s", result->ok ? "ok" : "failed", result->name, result->type, *where ? " " : "",
		       where);
		if (result->ok)
			printf(", %s%s%s\n", result->removed ? "removed again" : "the file stays there",
			       result->warning ? "; " : "", result->warning ? result->warning : "");
		else
			printf("\n    %s\n    %s\n", result->error, result->hint);
	}
	event_base_loopbreak(trial->loop);
}

/* The file of the trial is tiny. */
static bool charge_nothing(void *ctx, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	return true;
}

static void return_nothing(void *ctx, size_t bytes)
{
	(void)ctx;
	(void)bytes;
}

static int start(struct trial *trial, const struct config *config)
{
	struct redis_options redis = redis_setup_options(&config->redis);
	int r;

	trial->loop = event_base_new();
	trial->slabs = slab_pool_new(&(struct slab_pool_options){0});
	r = trial->loop && trial->slabs ? secrets_init(&trial->secrets, config) : -ENOMEM;
	if (r < 0)
		return r;
	redis.secret = trial->secrets.redis;
	redis.sentinel_secret = trial->secrets.sentinel;
	r = sink_setup_init(&trial->sinks, &(struct sink_setup_options){
						   .loop = trial->loop,
						   .config = config,
						   .secrets = &trial->secrets,
						   .redis = &redis,
						   .slabs = trial->slabs,
						   .account = {charge_nothing, return_nothing, NULL},
					   });
	if (r < 0)
		return r;
	return destination_check_start(trial->loop, trial->sinks.deliveries,
				       &(struct destination_check_options){.node = config->general.node}, on_checked,
				       trial)
		       ? 0
		       : -ENOMEM;
}

int destination_trial_run(const struct config *config, struct error *err)
{
	struct trial trial = {0};
	int r;

	signal(SIGPIPE, SIG_IGN);
	r = start(&trial, config);
	if (r == 0)
		event_base_dispatch(trial.loop);
	else
		error_set(err, r, "trying the destinations: %s", strerror(-r));
	sink_setup_deinit(&trial.sinks);
	secrets_deinit(&trial.secrets);
	slab_pool_free(trial.slabs);
	if (trial.loop)
		event_base_free(trial.loop);
	return r < 0 ? r : trial.failed;
}
