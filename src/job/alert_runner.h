/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Alerts in, jobs out: applies the alert rules to what inputs hand over, first match wins, and submits the requests
 * that they make, or has them published for other nodes. Rules are read from files, and again when these change; a
 * faulty set keeps the old one. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alert/alert_format.h"
#include "base/cleanup.h"
#include "base/error.h"

struct alert_runner;
struct alert_accounts;
struct config;
struct config_input;
struct event_base;
struct event_bus;
struct jobs;

#define ALERT_COOLDOWNS_MAX 4096 /* remembered; the oldest are forgotten first */

struct alert_runner_options {
	struct event_base *loop;
	const struct config *config;
	struct jobs *jobs;
	struct event_bus *bus;
	bool (*has_interface)(void *ctx, const char *name);
	/* Sends a request, JSON text, to the other nodes: 0 (it is on its way), or -errno with `err`. */
	int (*publish)(void *ctx, const char *text, size_t size, struct error *err);
	void (*rules_changed)(void *ctx); /* they were read again */
	void *ctx;			  /* of all */
};

/* Reads the rules; blocks. NULL and `err` on failure, also if a rule is faulty. */
struct alert_runner *alert_runner_new(const struct alert_runner_options *options, struct error *err);

/* Call it before the jobs are freed. Captures go on. */
void alert_runner_free(struct alert_runner *runner);

/* What became of a message. */
struct alert_outcome {
	uint64_t alerts;     /* in the message */
	uint64_t matched;    /* by a rule; the following are of these */
	uint64_t started;    /* became a request, which may be refused: its events say so */
	uint64_t published;  /* became a request or a stop for another node */
	uint64_t stopped;    /* ended captures */
	uint64_t suppressed; /* by the rule's own limits, or because a capture with the same dedupe key runs */
	uint64_t repeated;   /* Alertmanager or Grafana sent them again */
	uint64_t failed;     /* no request could be made or published */
	uint64_t dry;	     /* rules with dry_run */
	uint64_t dropped;    /* of the alerts: beyond limits.alerts_per_second, so no rule was asked */
};

/* `input`: of the configuration; NULL: the control API. -EINVAL: the message cannot be read; -EDQUOT: beyond
 * limits.alerts_per_second; -ENOMEM; else 0. */
int alert_runner_take(struct alert_runner *runner, const struct config_input *input, enum alert_format format,
		      const char *bytes, size_t size, struct alert_outcome *outcome, struct error *err);

/* A request of our own, which comes over an input: takes it into the input's account. Errors as above; 0: it is a JSON
 * object, and the caller submits it. */
int alert_runner_take_request(struct alert_runner *runner, const struct config_input *input, const char *bytes,
			      size_t size, struct error *err);

/* The same for a message that its trigger could not take whole: it counts as one that cannot be read. */
void alert_runner_refuse(struct alert_runner *runner, const struct config_input *input, enum alert_format format,
			 const char *why);

/* Whether a rule publishes, so that the fleet's events are wanted. */
bool alert_runner_publishes(const struct alert_runner *runner);

/* An event of any node, as published. */
void alert_runner_take_event(struct alert_runner *runner, const char *json, size_t size);

/* A rule, and what rules of its name did since the start. */
struct alert_rule_status {
	const char *name, *input;
	uint64_t matches, started, published, suppressed, repeated,
		failed;		/* failed: the rule matched, but no request could be made */
	uint64_t captures;	/* that its requests began on this node */
	uint64_t refused;	/* of its requests, by this node */
	double rate;		/* matches a second, over the last minute */
	uint64_t last_match_ns; /* real time; 0: never */
	uint64_t running;
	bool dry_run;
};

typedef void (*alert_rule_visitor)(void *ctx, const struct alert_rule_status *status);
void alert_runner_visit(const struct alert_runner *runner, alert_rule_visitor visit, void *ctx);

/* Alerts and messages since the start. `own`: of the alerts, what pcapdaemon wrote itself: no rule sees it. */
struct alert_counts {
	uint64_t alerts, unreadable, dropped, own, matched, started, published, stopped, suppressed, repeated, failed;
};

struct alert_counts alert_runner_counts(const struct alert_runner *runner);

/* The account of its inputs. */
struct alert_accounts *alert_runner_accounts(const struct alert_runner *runner);

CLEANUP_DEFINE(alert_runner, struct alert_runner, alert_runner_free)
