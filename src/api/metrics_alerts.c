/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two tables; a metric is a row. Labels come from the configuration and the rules, never from an alert, so there are no
 * more than these have.
 */
#include "api/metrics_alerts.h"

#include "job/alert_accounts.h"
#include "job/alert_runner.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static uint64_t alerts(const struct alert_account_status *s)
{
	return s->alerts;
}

static uint64_t unreadable(const struct alert_account_status *s)
{
	return s->unreadable;
}

static uint64_t flooded(const struct alert_account_status *s)
{
	return s->suppressed;
}

static const struct {
	struct metric_family family;
	uint64_t (*read)(const struct alert_account_status *status);
} input_metrics[] = {
	{{"pcapdaemon_alerts", METRIC_COUNTER, NULL, "Alerts taken, by input."}, alerts},
	{{"pcapdaemon_alerts_unreadable", METRIC_COUNTER, NULL, "Messages that could not be read, by input."},
	 unreadable},
	{{"pcapdaemon_alerts_suppressed", METRIC_COUNTER, NULL,
	  "Alerts not looked at because there were too many (limits.alerts_per_second), by input."},
	 flooded},
};

static uint64_t matches(const struct alert_rule_status *s)
{
	return s->matches;
}

static uint64_t captures(const struct alert_rule_status *s)
{
	return s->captures;
}

static uint64_t published(const struct alert_rule_status *s)
{
	return s->published;
}

static uint64_t refused(const struct alert_rule_status *s)
{
	return s->refused;
}

static uint64_t suppressed(const struct alert_rule_status *s)
{
	return s->suppressed + s->repeated;
}

static uint64_t failed(const struct alert_rule_status *s)
{
	return s->failed;
}

static const struct {
	struct metric_family family;
	uint64_t (*read)(const struct alert_rule_status *status);
} rule_metrics[] = {
	{{"pcapdaemon_rule_matches", METRIC_COUNTER, NULL, "Alerts that a rule matched."}, matches},
	{{"pcapdaemon_rule_captures", METRIC_COUNTER, NULL, "Captures that a rule began on this node."}, captures},
	{{"pcapdaemon_rule_published", METRIC_COUNTER, NULL, "Requests and stops of a rule for other nodes."},
	 published},
	{{"pcapdaemon_rule_refused", METRIC_COUNTER, NULL, "Requests of a rule that this node refused."}, refused},
	{{"pcapdaemon_rule_suppressed", METRIC_COUNTER, NULL,
	  "Matches without a request: by the rule's limits, or because they repeat another."},
	 suppressed},
	{{"pcapdaemon_rule_failed", METRIC_COUNTER, NULL, "Matches of which no request could be made."}, failed},
};

struct walk {
	struct metric_writer *out;
	size_t metric, count;
	int r;
};

static void write_input(void *ctx, const struct alert_account_status *status)
{
	struct walk *walk = ctx;
	const struct metric_label labels[] = {{"input", status->name}, {"format", status->format}, {NULL, NULL}};

	if (walk->r == 0)
		walk->r = metric_sample(walk->out, &input_metrics[walk->metric].family, labels,
					(double)input_metrics[walk->metric].read(status));
}

static void write_rule(void *ctx, const struct alert_rule_status *status)
{
	struct walk *walk = ctx;
	const struct metric_label labels[] = {{"rule", status->name}, {NULL, NULL}};

	if (walk->r == 0 && walk->count++ < METRICS_RULES_MAX)
		walk->r = metric_sample(walk->out, &rule_metrics[walk->metric].family, labels,
					(double)rule_metrics[walk->metric].read(status));
}

int metrics_write_alerts(struct metric_writer *out, const struct alert_runner *runner)
{
	struct walk walk = {.out = out};

	for (walk.metric = 0; walk.metric < COUNT(input_metrics) && walk.r == 0; walk.metric++) {
		walk.r = metric_header(out, &input_metrics[walk.metric].family);
		alert_accounts_visit(alert_runner_accounts(runner), write_input, &walk);
	}
	for (walk.metric = 0; walk.metric < COUNT(rule_metrics) && walk.r == 0; walk.metric++) {
		walk.count = 0;
		walk.r = metric_header(out, &rule_metrics[walk.metric].family);
		alert_runner_visit(runner, write_rule, &walk);
	}
	return walk.r;
}
