/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /v1/alerts/FORMAT: webhooks of alert sources, and requests of our own. GET /v1/rules: the alert rules and what
 * they did. */
#include <errno.h>
#include <string.h>

#include "alert/alert_format.h"
#include "api/alert_signature.h"
#include "api/api_internal.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "config/config.h"
#include "job/alert_accounts.h"
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

static const char *find_header(const void *ctx, const char *name)
{
	return http_request_header(ctx, name);
}

/* Whether the request may go on. If it has a signature, `signature` tells which. */
static bool verify(const struct api *api, struct http_request *request, const char *key,
		   struct alert_signature *signature)
{
	const struct config *config = api->options.config;
	const struct alert_signature_rules rules = {
		.keys = config->api.alert_keys,
		.max_age_ns = config->api.alert_signature_age_ns,
		.untimed = config->api.alert_untimed,
	};
	struct alert_signature_message message = {.header = find_header, .ctx = request, .key = key};
	struct error err;

	*signature = (struct alert_signature){0};
	if (!http_request_must_verify(request))
		return true;
	message.body = http_request_body(request, &message.size);
	const int r = alert_signature_verify(&rules, &message, clock_realtime_ns(), signature, &err);
	if (r == 0)
		http_request_verified(request, signature->key);
	else
		http_answer_unverified(request, err.text);
	return r == 0;
}

/* Its source should send the message again. What began would be a repetition. */
static bool is_failure(const struct alert_outcome *outcome)
{
	return outcome->failed && !outcome->started && !outcome->published;
}

static void answer_outcome(struct http_request *request, const struct alert_outcome *outcome, bool duplicate)
{
	const bool failed = is_failure(outcome);
	json_t *answer = json_pack("{sI sI sI sI sI sI sI sI sI sI}", "alerts", (json_int_t)outcome->alerts, "matched",
				   (json_int_t)outcome->matched, "started", (json_int_t)outcome->started, "published",
				   (json_int_t)outcome->published, "stopped", (json_int_t)outcome->stopped,
				   "suppressed", (json_int_t)outcome->suppressed, "repeated",
				   (json_int_t)outcome->repeated, "dropped", (json_int_t)outcome->dropped, "dry_run",
				   (json_int_t)outcome->dry, "failed", (json_int_t)outcome->failed);

	if (answer && duplicate)
		(void)json_object_set_new(answer, "duplicate", json_true());
	if (answer && failed)
		(void)json_object_set_new(answer, "error",
					  json_string("no request could be made or published (log alert-failed)"));
	api_answer_json(request, failed ? 503 : 200, answer);
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
	static const char *const known[] = {"key", NULL};
	struct api *api = ctx;
	const char *name = http_request_segment(request, 0), *key;
	const enum alert_format format = alert_format_find(name);
	struct alert_signature signature;
	struct alert_outcome outcome = {0};
	struct error err;
	size_t size;

	if (!api_check_parameters(request, known) || !api_parameter(request, "key", &key) ||
	    !verify(api, request, key, &signature))
		return;
	if (*signature.mac && alert_signatures_has(api->signatures, &signature, clock_boottime_ns())) {
		answer_outcome(request, &outcome, true);
		return;
	}
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
	if (*signature.mac && !is_failure(&outcome))
		alert_signatures_add(api->signatures, &signature, clock_boottime_ns());
	answer_outcome(request, &outcome, false);
}

static void add_rule(void *ctx, const struct alert_rule_status *status)
{
	char time[CLOCK_TEXT_SIZE];

	json_array_append_new(ctx,
			      json_pack("{ss ss* sI sI sI sI sI sI sI sI sI sf ss* sb}", "name", status->name, "input",
					status->input, "matches", (json_int_t)status->matches, "started",
					(json_int_t)status->started, "captures", (json_int_t)status->captures,
					"refused", (json_int_t)status->refused, "published",
					(json_int_t)status->published, "suppressed", (json_int_t)status->suppressed,
					"repeated", (json_int_t)status->repeated, "failed", (json_int_t)status->failed,
					"running", (json_int_t)status->running, "rate", status->rate, "last_match",
					status->last_match_ns ? clock_format(status->last_match_ns, time) : NULL,
					"dry_run", status->dry_run));
}

static void add_input(void *ctx, const struct alert_account_status *status)
{
	json_array_append_new(ctx,
			      json_pack("{ss ss sI sI sI sI sf}", "name", status->name, "format", status->format,
					"alerts", (json_int_t)status->alerts, "unreadable",
					(json_int_t)status->unreadable, "suppressed", (json_int_t)status->suppressed,
					"own", (json_int_t)status->own, "rate", status->rate));
}

void route_rules(void *ctx, struct http_request *request)
{
	const struct api *api = ctx;

	if (!api_check_parameters(request, api_no_parameters))
		return;
	json_t *rules = json_array(), *inputs = json_array();
	alert_runner_visit(api->options.alerts, add_rule, rules);
	alert_accounts_visit(alert_runner_accounts(api->options.alerts), add_input, inputs);
	const struct alert_counts counts = alert_runner_counts(api->options.alerts);
	api_answer_json(request, 200,
			json_pack("{so so s{sI sI sI sI sI sI sI sI sI sI sI}}", "rules", rules, "inputs", inputs,
				  "since_start", "alerts", (json_int_t)counts.alerts, "unreadable",
				  (json_int_t)counts.unreadable, "dropped", (json_int_t)counts.dropped, "own",
				  (json_int_t)counts.own, "matched", (json_int_t)counts.matched, "started",
				  (json_int_t)counts.started, "published", (json_int_t)counts.published, "stopped",
				  (json_int_t)counts.stopped, "suppressed", (json_int_t)counts.suppressed, "repeated",
				  (json_int_t)counts.repeated, "failed", (json_int_t)counts.failed));
}
