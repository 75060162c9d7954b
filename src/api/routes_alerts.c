/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /v1/alerts/FORMAT: webhooks of alert sources, and requests of our own. GET /v1/rules: the alert rules and what
 * they did. */
#include <errno.h>
#include <string.h>

#include "alert/alert_format.h"
#include "api/api_internal.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "config/config.h"
#include "job/alert_runner.h"

/* The formats' names, for a refusal. */
static void answer_unknown_format(struct http_request *request, const char *name)
{
	cleanup(buffer_deinit) struct buffer names = BUFFER_INIT(1024);

	for (enum alert_format format = 0; format < ALERT_FORMATS; format++)
		if (buffer_printf(&names, " %s", alert_format_name(format)) < 0)
			break;
	http_answer_error(request, 404, "there is no format \"%.32s\"; the formats are%s", name, buffer_text(&names));
}

/* The body is a request of our own, admitted like those over Redis. An alert token alone stands for alerts only. */
static void submit_request(struct api *api, struct http_request *request)
{
	const struct config_requests *allowed = &api->options.config->requests;

	if (http_request_is_guest(request) && !allowed->keyring)
		http_answer_error(request, 403,
				  "an alert token opens requests only if they must be signed (requests.keys_file)");
	else
		api_submit(api, request, allowed, false);
}

/* The answer says what the rules made of the message. An alert that none wants is no error: sources send all. */
void route_alert(void *ctx, struct http_request *request)
{
	struct api *api = ctx;
	const char *name = http_request_segment(request, 0);
	const enum alert_format format = alert_format_find(name);
	struct alert_outcome outcome;
	struct error err;
	size_t size;

	if (!api_check_parameters(request, api_no_parameters))
		return;
	if (format == ALERT_FORMATS) {
		answer_unknown_format(request, name);
		return;
	}
	if (format == ALERT_FORMAT_REQUEST) {
		submit_request(api, request);
		return;
	}
	const char *body = http_request_body(request, &size);
	const int r = alert_runner_take(api->options.alerts, NULL, format, body, size, &outcome, &err);
	if (r < 0) {
		http_answer_error(request, error_http_status(r), "%s", err.text);
		return;
	}
	api_answer_json(request, 200,
			json_pack("{sI sI sI sI sI sI sI}", "alerts", (json_int_t)outcome.alerts, "matched",
				  (json_int_t)outcome.matched, "started", (json_int_t)outcome.started, "published",
				  (json_int_t)outcome.published, "stopped", (json_int_t)outcome.stopped, "suppressed",
				  (json_int_t)outcome.suppressed, "dry_run", (json_int_t)outcome.dry));
}

static void add_rule(void *ctx, const struct alert_rule_status *status)
{
	char time[CLOCK_TEXT_SIZE];

	json_array_append_new(ctx, json_pack("{ss ss* sI sI sI sI sI sI ss* sb}", "name", status->name, "input",
					     status->input, "matches", (json_int_t)status->matches, "started",
					     (json_int_t)status->started, "published", (json_int_t)status->published,
					     "suppressed", (json_int_t)status->suppressed, "failed",
					     (json_int_t)status->failed, "running", (json_int_t)status->running,
					     "last_match",
					     status->last_match_ns ? clock_format(status->last_match_ns, time) : NULL,
					     "dry_run", status->dry_run));
}

void route_rules(void *ctx, struct http_request *request)
{
	const struct api *api = ctx;

	if (!api_check_parameters(request, api_no_parameters))
		return;
	json_t *rules = json_array();
	alert_runner_visit(api->options.alerts, add_rule, rules);
	const struct alert_counts counts = alert_runner_counts(api->options.alerts);
	api_answer_json(request, 200,
			json_pack("{so s{sI sI sI sI sI sI sI}}", "rules", rules, "since_start", "alerts",
				  (json_int_t)counts.alerts, "unreadable", (json_int_t)counts.unreadable, "matched",
				  (json_int_t)counts.matched, "started", (json_int_t)counts.started, "published",
				  (json_int_t)counts.published, "stopped", (json_int_t)counts.stopped, "suppressed",
				  (json_int_t)counts.suppressed));
}
