/* SPDX-License-Identifier: BSD-2-Clause */
/* Alert rules and the inputs that alerts come through. Loop thread. */
#pragma once

#include <event2/util.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"

struct alert_input;
struct alert_runner;
struct config;
struct event_base;
struct event_bus;
struct jobs;
struct redis_commands;
struct redis_options;
struct redis_pubsub;

struct alert_setup {
	struct alert_runner *runner;
	struct alert_input *inputs;
	size_t input_count;
	const struct config *config;
	struct jobs *jobs;
	struct redis_commands *publisher; /* for the requests of rules; NULL: no Redis, or not started */
	struct redis_pubsub *events;	  /* the fleet's, while a rule publishes; NULL: not wanted */
	struct event_base *loop;
	const struct redis_options *redis; /* NULL: no Redis, or not started */
	struct log_rate lost_rate;
};

/* Reads the rules. `setup` must stay where it is. 0, or -errno with `err`. */
warn_unused int alert_setup_init(struct alert_setup *setup, struct event_base *loop, const struct config *config,
				 struct jobs *jobs, struct event_bus *bus, struct error *err);

/* Begins to take alerts. `redis`: how to reach the configured Redis; must outlive the setup. 0, or -errno with `err`.
 */
warn_unused int alert_setup_start(struct alert_setup *setup, struct event_base *loop, const struct config *config,
				  const struct redis_options *redis, struct error *err);

/* Takes no more alerts from inputs. */
void alert_setup_stop(struct alert_setup *setup);

/* Call it before the jobs are freed. */
void alert_setup_deinit(struct alert_setup *setup);
