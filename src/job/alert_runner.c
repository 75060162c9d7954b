/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule has at most one run (alert_runs.h) for each node and dedupe key. Files are looked at and read on a thread of
 * their own, every few seconds.
 */
#include "job/alert_runner.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "alert/alert_own.h"
#include "alert/alert_rule_files.h"
#include "alert/alert_value.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/lru_table.h"
#include "base/minute_rate.h"
#include "base/offload.h"
#include "config/config.h"
#include "config/config_keyring.h"
#include "job/alert_accounts.h"
#include "job/alert_repeats.h"
#include "job/alert_runs.h"
#include "job/jobs.h"
#include "request/request.h"
#include "request/signature.h"

#define LOOK_S 2 /* how often the files are looked at */
#define NS_PER_HOUR (3600 * NS_PER_S)
#define ORIGIN_SIZE (sizeof("rule:") + ALERT_NAME_MAX)

/* What a rule did, by its place in the set. */
struct rule_state {
	uint64_t matches, started, published, suppressed, repeated, failed, captures, refused, last_match_ns;
	struct minute_rate rate; /* of matches */
	uint64_t hour_ns;	 /* boot time at which the hour that is counted began */
	int64_t in_hour;
};

struct cooldown {
	struct lru_entry entry;
	uint64_t until_ns; /* boot time */
};

/* Reads the files off the loop. */
struct reload {
	struct offload_task task;
	struct alert_runner *runner;
	uint64_t stamp;
	bool changed;
	int result;
	struct alert_rules rules;
	struct buffer faults;
};

struct alert_runner {
	struct alert_runner_options options;
	struct alert_rules rules;
	struct rule_state *states;
	struct alert_runs *runs;
	struct lru_table *cooldowns;
	struct alert_repeats *repeats;
	struct alert_accounts *accounts;
	struct alert_counts counts;
	struct log_rate failed_rate;
	uint64_t stamp;
	struct event *timer;
	struct offload *files;
	struct reload reload;
	bool reloading;
};

/* --- what became of requests --- */

/* NULL: the rule is gone. */
static struct rule_state *find_state(const struct alert_runner *runner, const char *rule)
{
	for (size_t i = 0; i < runner->rules.count; i++)
		if (strcmp(runner->rules.items[i]->name, rule) == 0)
			return &runner->states[i];
	return NULL;
}

static void count_captures(void *ctx, const char *rule, size_t captures)
{
	struct rule_state *state = find_state(ctx, rule);

	if (state)
		state->captures += captures;
}

static void count_refusal(void *ctx, const char *rule)
{
	struct rule_state *state = find_state(ctx, rule);

	if (state)
		state->refused++;
}

/* Its sender may send it again, and then a capture may begin. */
static void forget_alert(void *ctx, const char *alert)
{
	const struct alert_runner *runner = ctx;

	alert_repeats_forget(runner->repeats, alert);
}

/* --- a rule's own limits --- */

/* The key of a cooldown: the rule, the node, and what it is for. Caller frees. */
static char *cooldown_key(const struct alert_rule *rule, const json_t *request)
{
	const char *node = json_string_value(json_object_get(request, "node")),
		   *dedupe = json_string_value(json_object_get(request, "dedupe"));
	char *key;

	return asprintf(&key, "%s\n%s\n%s", rule->name, node, dedupe ? dedupe : "") < 0 ? NULL : key;
}

static bool is_cooling(const struct alert_runner *runner, const char *key, uint64_t now_ns)
{
	const struct cooldown *cooldown = (const struct cooldown *)lru_table_find(runner->cooldowns, key);

	return cooldown && cooldown->until_ns > now_ns;
}

static bool is_hour_full(struct rule_state *state, const struct alert_rule *rule, uint64_t now_ns)
{
	if (now_ns - state->hour_ns >= NS_PER_HOUR) {
		state->hour_ns = now_ns;
		state->in_hour = 0;
	}
	return rule->max_per_hour && state->in_hour >= rule->max_per_hour;
}

/* Why the rule must not begin another capture now; NULL: it may. */
static const char *find_limit(struct alert_runner *runner, const struct alert_rule *rule, struct rule_state *state,
			      const json_t *request, const char *key, uint64_t now_ns)
{
	if (alert_runs_has(runner->runs, rule->name, request))
		return "a capture with the same dedupe key is running";
	if (is_cooling(runner, key, now_ns))
		return "cooldown";
	if (rule->max_running && alert_runs_count(runner->runs, rule->name) >= (uint64_t)rule->max_running)
		return "max_running";
	if (is_hour_full(state, rule, now_ns))
		return "max_per_hour";
	return alert_runs_count(runner->runs, NULL) >= ALERT_RUNS_MAX ? "too many captures of rules are running" : NULL;
}

static void begin_cooldown(struct alert_runner *runner, const struct alert_rule *rule, const char *key, uint64_t now_ns)
{
	bool is_new;
	struct cooldown *cooldown =
		rule->cooldown_ns ? (struct cooldown *)lru_table_touch(runner->cooldowns, key, &is_new) : NULL;

	if (cooldown)
		cooldown->until_ns = now_ns + rule->cooldown_ns;
}

/* --- an alert --- */

/* As alert_runs_submit(). */
static int submit(struct alert_runner *runner, const struct alert_rule *rule, const char *alert, const json_t *request)
{
	cleanup(cleanup_free) char *text = json_dumps(request, JSON_COMPACT);
	char origin[ORIGIN_SIZE];

	if (!text)
		return -ENOMEM;
	snprintf(origin, sizeof(origin), "rule:%s", rule->name);
	const struct job_message message = {
		.origin = origin,
		.bytes = text,
		.size = strlen(text),
		.allowed = &runner->options.config->requests,
		.rule = rule->name,
	};
	return alert_runs_submit(runner->runs, alert, request, runner->options.jobs, &message);
}

static void count_failure(struct alert_runner *runner, const struct alert_rule *rule, struct rule_state *state,
			  struct alert_outcome *outcome, const char *reason)
{
	uint64_t suppressed;

	state->failed++;
	outcome->failed++;
	if (log_rate_allow(&runner->failed_rate, &suppressed))
		log_warning("alert-failed", log_str("rule", rule->name), log_str("error", reason),
			    log_uint("suppressed", suppressed));
}

static bool is_for_others(const struct alert_runner *runner, const struct alert_rule *rule, const json_t *request)
{
	return rule->publish &&
	       strcmp(json_string_value(json_object_get(request, "node")), runner->options.config->general.node) != 0;
}

/* Names and signs it, so that the other node's events can be found, and it can tell a repetition. */
static int seal(const struct alert_runner *runner, const struct alert_rule *rule, json_t *request, struct error *err)
{
	const struct config *config = runner->options.config;
	char id[REQUEST_ID_SIZE];

	if (request_make_id(id) < 0 || json_object_set_new(request, "id", json_string(id)) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (!json_object_get(request, "stop") && json_object_set_new(request, "rule", json_string(rule->name)) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return config->rules.keyring ? signature_sign(request, config_keyring_first(config->rules.keyring), err) : 0;
}

static int send_request(const struct alert_runner *runner, const struct alert_rule *rule, json_t *request,
			struct error *err)
{
	int r = seal(runner, rule, request, err);
	cleanup(cleanup_free) char *text = r == 0 ? json_dumps(request, JSON_COMPACT) : NULL;

	if (r < 0)
		return r;
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	if (strlen(text) > REQUEST_SIZE_MAX)
		return error_set(err, -E2BIG, "the request is %zu bytes; the limit is %d", strlen(text),
				 REQUEST_SIZE_MAX);
	return runner->options.publish(runner->options.ctx, text, strlen(text), err);
}

/* False: it could not be sent; counted and logged. */
static bool publish(struct alert_runner *runner, const struct alert_rule *rule, struct rule_state *state,
		    json_t *request, struct alert_outcome *outcome)
{
	struct error err;

	if (send_request(runner, rule, request, &err) < 0) {
		count_failure(runner, rule, state, outcome, err.text);
		return false;
	}
	state->published++;
	outcome->published++;
	log_info("request-published", log_str("request", json_string_value(json_object_get(request, "id"))),
		 log_str("rule", rule->name), log_str("node", json_string_value(json_object_get(request, "node"))),
		 log_bool("stop", json_object_get(request, "stop")));
	return true;
}

/* From the request on until its captures should have been delivered, as far as this node can tell. */
static uint64_t lasts_ns(const struct alert_runner *runner, const json_t *request)
{
	const struct config *config = runner->options.config;
	const uint64_t now_ns = clock_realtime_ns();
	double s = json_number_value(json_object_get(request, "duration"));
	uint64_t from_ns, to_ns, ns = config->general.defaulttimeout_ns;

	if (s <= 0)
		s = json_number_value(json_object_get(request, "timeout"));
	if (s > 0)
		ns = s < (double)config->general.maxduration_ns / NS_PER_S ? (uint64_t)(s * (double)NS_PER_S)
									   : config->general.maxduration_ns;
	if (alert_value_time(json_object_get(request, "to"), &to_ns) == 0)
		ns = to_ns > now_ns ? to_ns - now_ns : 0;
	else if (alert_value_time(json_object_get(request, "from"), &from_ns) == 0 && from_ns > now_ns)
		ns += from_ns - now_ns;
	return ns + config->limits.retry_ns;
}

/* Whether the request is under way; `alert`: what the alert is remembered by, NULL: nothing. */
static bool begin(struct alert_runner *runner, const struct alert_rule *rule, struct rule_state *state,
		  const char *alert, json_t *request, struct alert_outcome *outcome)
{
	if (is_for_others(runner, rule, request)) {
		if (!publish(runner, rule, state, request, outcome))
			return false;
		if (!alert_runs_publish(runner->runs, rule->name, alert, request, lasts_ns(runner, request)))
			log_error("run-unwatched", log_str("rule", rule->name), log_str("error", "out of memory"));
		return true;
	}
	const int r = submit(runner, rule, alert, request);
	if (r == -ENOMEM) {
		count_failure(runner, rule, state, outcome, "out of memory");
		return false;
	}
	state->started++;
	outcome->started++;
	return r == 0;
}

/* What begins no capture, because the rule's limits do not allow it or the request is refused, uses up none of these
 * limits, and its next copy is no repetition. */
static void start(struct alert_runner *runner, const struct alert_rule *rule, struct rule_state *state,
		  const char *alert, json_t *request, struct alert_outcome *outcome)
{
	const uint64_t now_ns = clock_boottime_ns();
	cleanup(cleanup_free) char *key = cooldown_key(rule, request);
	const char *limit = key ? find_limit(runner, rule, state, request, key, now_ns) : "out of memory";

	if (limit) {
		state->suppressed++;
		outcome->suppressed++;
		log_debug(job, "alert-suppressed", log_str("rule", rule->name), log_str("reason", limit));
	} else if (begin(runner, rule, state, alert, request, outcome)) {
		begin_cooldown(runner, rule, key, now_ns);
		state->in_hour++;
		alert_repeats_add(runner->repeats, alert, now_ns);
	}
}

static void stop(struct alert_runner *runner, const struct alert_rule *rule, struct rule_state *state, json_t *request,
		 struct alert_outcome *outcome)
{
	if (is_for_others(runner, rule, request))
		(void)publish(runner, rule, state, request, outcome);
	else if (alert_runs_stop(runner->runs, rule->name, request, runner->options.jobs) > 0)
		outcome->stopped++;
}

static void run_dry(const struct alert_rule *rule, const json_t *request, struct alert_outcome *outcome)
{
	cleanup(cleanup_free) char *text = json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS);

	outcome->dry++;
	log_notice("alert-dry-run", log_str("rule", rule->name), log_str("request", text));
}

/* The first rule that matches is the last one that is asked. */
static void ask_rules(struct alert_runner *runner, const struct alert_context *context, const json_t *alert,
		      struct alert_outcome *outcome)
{
	const uint64_t now_ns = clock_boottime_ns();

	for (size_t i = 0; i < runner->rules.count; i++) {
		const struct alert_rule *rule = runner->rules.items[i];
		struct rule_state *state = &runner->states[i];
		json_t *request = NULL;
		const enum alert_verdict verdict = alert_rule_apply(rule, alert, context, &request, NULL);

		if (verdict == ALERT_NO_MATCH)
			continue;
		cleanup(cleanup_free) char *key = alert_repeats_key(rule->name, alert, context->format);
		outcome->matched++;
		state->matches++;
		state->last_match_ns = context->arrived_ns;
		minute_rate_count(&state->rate, now_ns);
		if (verdict == ALERT_FAILED) {
			count_failure(runner, rule, state, outcome, "out of memory, or the request is too long");
		} else if (rule->dry_run) {
			run_dry(rule, request, outcome);
		} else if (verdict == ALERT_STOP) {
			stop(runner, rule, state, request, outcome);
		} else if (alert_repeats_has(runner->repeats, key, now_ns)) {
			state->repeated++;
			outcome->repeated++;
		} else {
			start(runner, rule, state, key, request, outcome);
		}
		json_decref(request);
		return;
	}
}

static void add_counts(struct alert_counts *counts, const struct alert_outcome *outcome)
{
	counts->alerts += outcome->alerts;
	counts->matched += outcome->matched;
	counts->started += outcome->started;
	counts->published += outcome->published;
	counts->stopped += outcome->stopped;
	counts->suppressed += outcome->suppressed;
	counts->repeated += outcome->repeated;
	counts->failed += outcome->failed;
	counts->dropped += outcome->dropped;
}

/* "HOST=NODE" of the configuration. Host names have no case. */
static const char *find_node(void *ctx, const char *host)
{
	const struct alert_runner *runner = ctx;
	const struct config_strings *hosts = &runner->options.config->rules.hosts;
	const size_t size = strlen(host);

	for (size_t i = 0; i < hosts->count; i++)
		if (strncasecmp(hosts->items[i], host, size) == 0 && hosts->items[i][size] == '=')
			return hosts->items[i] + size + 1;
	return NULL;
}

static bool has_interface(void *ctx, const char *name)
{
	const struct alert_runner *runner = ctx;

	return runner->options.has_interface(runner->options.ctx, name);
}

static void take_alerts(struct alert_runner *runner, struct alert_account *account, const struct alert_context *context,
			const json_t *alerts, struct alert_outcome *outcome)
{
	const char *tag = runner->options.config->syslog.tag;
	size_t i;
	json_t *alert;

	json_array_foreach(alerts, i, alert)
	{
		if (i > 0 && !alert_account_take(account, clock_boottime_ns())) {
			outcome->dropped++;
			continue;
		}
		outcome->alerts++;
		if (alert_is_own(alert, tag)) {
			alert_account_own(account);
			runner->counts.own++;
		} else {
			ask_rules(runner, context, alert, outcome);
		}
	}
}

/* Takes one token for the message. */
static int admit(struct alert_runner *runner, struct alert_account *account, struct error *err)
{
	if (!account)
		return error_set(err, -ENOMEM, "out of memory");
	if (alert_account_take(account, clock_boottime_ns()))
		return 0;
	runner->counts.dropped++;
	return error_set(err, -EDQUOT, "too many alerts (limits.alerts_per_second)");
}

static void count_unreadable(struct alert_runner *runner, struct alert_account *account, const char *why)
{
	runner->counts.unreadable++;
	alert_account_unreadable(account, why);
}

/* Counts it if it cannot be read. */
static int read_message(struct alert_runner *runner, struct alert_account *account, enum alert_format format,
			const char *bytes, size_t size, struct error *err, json_t **alerts)
{
	const int r = alert_format_read(format, bytes, size, err, alerts);

	if (r < 0)
		count_unreadable(runner, account, err->text);
	return r;
}

int alert_runner_take_request(struct alert_runner *runner, const struct config_input *input, const char *bytes,
			      size_t size, struct error *err)
{
	struct alert_account *account = alert_accounts_find(runner->accounts, input, ALERT_FORMAT_REQUEST);
	json_t *alerts = NULL;
	size_t at = 0;
	int r = admit(runner, account, err);

	if (r == 0)
		r = read_message(runner, account, ALERT_FORMAT_JSON, bytes, size, err, &alerts);
	json_decref(alerts);
	if (r < 0)
		return r;
	while (at < size && strchr(" \t\r\n", bytes[at]))
		at++;
	if (at < size && bytes[at] == '{')
		return 0;
	error_set(err, -EINVAL, "is not an object");
	count_unreadable(runner, account, err->text);
	return -EINVAL;
}

int alert_runner_take(struct alert_runner *runner, const struct config_input *input, enum alert_format format,
		      const char *bytes, size_t size, struct alert_outcome *outcome, struct error *err)
{
	const struct alert_context context = {
		.node = runner->options.config->general.node,
		.find_node = find_node,
		.has_interface = has_interface,
		.ctx = runner,
		.input = input ? input->name : NULL,
		.format = alert_format_name(format),
		.arrived_ns = clock_realtime_ns(),
	};
	struct alert_account *account = alert_accounts_find(runner->accounts, input, format);
	json_t *alerts = NULL;
	int r = admit(runner, account, err);

	*outcome = (struct alert_outcome){0};
	if (r == 0)
		r = read_message(runner, account, format, bytes, size, err, &alerts);
	if (r < 0)
		return r;
	take_alerts(runner, account, &context, alerts, outcome);
	json_decref(alerts);
	add_counts(&runner->counts, outcome);
	return 0;
}

void alert_runner_refuse(struct alert_runner *runner, const struct config_input *input, enum alert_format format,
			 const char *why)
{
	struct alert_account *account = alert_accounts_find(runner->accounts, input, format);

	if (account && alert_account_take(account, clock_boottime_ns()))
		count_unreadable(runner, account, why);
}

/* --- other nodes --- */

bool alert_runner_publishes(const struct alert_runner *runner)
{
	for (size_t i = 0; i < runner->rules.count; i++)
		if (runner->rules.items[i]->publish)
			return true;
	return false;
}

void alert_runner_take_event(struct alert_runner *runner, const char *json, size_t size)
{
	alert_runs_take_event(runner->runs, json, size);
}

/* --- the files --- */

static void log_faults(const char *faults)
{
	for (const char *at = faults; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		cleanup(cleanup_free) char *line = strndup(at, strcspn(at, "\n"));

		log_error("rules-faulty", log_str("fault", line), log_str("effect", "the rules from before stay"));
	}
}

static bool is_input(const struct alert_runner *runner, const char *name)
{
	const struct config *config = runner->options.config;

	for (size_t i = 0; i < config->input_count; i++)
		if (strcmp(config->inputs[i].name, name) == 0)
			return true;
	return alert_format_find(name) < ALERT_FORMATS;
}

/* They would wait for alerts for ever. */
static void warn_of_unknown_inputs(const struct alert_runner *runner)
{
	for (size_t i = 0; i < runner->rules.count; i++) {
		const struct alert_rule *rule = runner->rules.items[i];

		if (rule->input && !is_input(runner, rule->input))
			log_warning("rule-input-unknown", log_str("rule", rule->name), log_str("input", rule->input),
				    log_str("hint", "it is neither a format nor the name of an [[input]]"));
	}
}

/* Rules of the same name keep what they did. */
static int use_rules(struct alert_runner *runner, struct alert_rules *rules)
{
	struct rule_state *states = calloc(rules->count + 1, sizeof(*states));

	if (!states)
		return -ENOMEM;
	for (size_t i = 0; i < rules->count; i++)
		for (size_t old = 0; old < runner->rules.count; old++)
			if (strcmp(rules->items[i]->name, runner->rules.items[old]->name) == 0)
				states[i] = runner->states[old];
	alert_rules_clear(&runner->rules);
	free(runner->states);
	runner->rules = *rules;
	runner->states = states;
	*rules = (struct alert_rules){0};
	warn_of_unknown_inputs(runner);
	return 0;
}

/* On the thread for files. */
static void read_files(struct offload_task *task)
{
	struct reload *reload = (struct reload *)task;
	const char *pattern = reload->runner->options.config->rules.files;
	const uint64_t stamp = alert_rule_files_stamp(pattern);

	reload->changed = stamp != reload->stamp;
	reload->stamp = stamp;
	if (reload->changed)
		reload->result = alert_rule_files_read(pattern, &reload->rules, &reload->faults);
}

static void on_files_read(struct offload_task *task)
{
	struct reload *reload = (struct reload *)task;
	struct alert_runner *runner = reload->runner;

	runner->reloading = false;
	if (!reload->changed)
		return;
	if (reload->result == -EINVAL)
		log_faults(buffer_text(&reload->faults));
	if (reload->result == 0)
		reload->result = use_rules(runner, &reload->rules);
	if (reload->result == 0) {
		log_notice("rules-loaded", log_str("files", runner->options.config->rules.files),
			   log_uint("rules", runner->rules.count));
		runner->options.rules_changed(runner->options.ctx);
	} else if (reload->result != -EINVAL) {
		log_error("rules-failed", log_str("error", strerror(-reload->result)));
	}
	alert_rules_clear(&reload->rules);
	buffer_clear(&reload->faults);
}

static void look_at_files(evutil_socket_t fd, short what, void *ctx)
{
	struct alert_runner *runner = ctx;

	(void)fd;
	(void)what;
	alert_runs_expire(runner->runs, clock_boottime_ns());
	if (!runner->reloading && offload_submit(runner->files, &runner->reload.task) == 0)
		runner->reloading = true;
}

static int read_first(struct alert_runner *runner, struct error *err)
{
	const char *pattern = runner->options.config->rules.files;
	cleanup(alert_rules_clear) struct alert_rules rules = {0};
	struct buffer *faults = &runner->reload.faults;

	runner->reload.stamp = alert_rule_files_stamp(pattern);
	int r = alert_rule_files_read(pattern, &rules, faults);
	if (r == 0)
		r = use_rules(runner, &rules);
	if (r == -EINVAL)
		error_set(err, r, "rules.files: %.*s", (int)strcspn(buffer_text(faults), "\n"), buffer_text(faults));
	else if (r < 0)
		error_set(err, r, "rules.files: %s", strerror(-r));
	buffer_clear(faults);
	return r;
}

static int start_looking(struct alert_runner *runner, struct error *err)
{
	const struct timeval interval = {.tv_sec = LOOK_S};

	runner->files = offload_new(runner->options.loop, "rules", 1, 1);
	runner->timer = event_new(runner->options.loop, -1, EV_PERSIST, look_at_files, runner);
	runner->cooldowns = lru_table_new(ALERT_COOLDOWNS_MAX, sizeof(struct cooldown));
	runner->repeats = alert_repeats_new();
	runner->accounts = alert_accounts_new(runner->options.loop, runner->options.bus, runner->options.config);
	if (!runner->runs || !runner->files || !runner->timer || !runner->cooldowns || !runner->repeats ||
	    !runner->accounts || event_add(runner->timer, &interval) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

struct alert_runner *alert_runner_new(const struct alert_runner_options *options, struct error *err)
{
	cleanup(cleanup_alert_runner) struct alert_runner *runner = calloc(1, sizeof(*runner));

	if (!runner) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	runner->options = *options;
	runner->runs = alert_runs_new(&(struct alert_runs_observer){
		.admitted = count_captures, .refused = count_refusal, .unmet = forget_alert, .ctx = runner});
	runner->failed_rate.burst = 1;
	runner->reload = (struct reload){
		.task = {.run = read_files, .done = on_files_read},
		.runner = runner,
		.faults = BUFFER_INIT(256 * 1024),
	};
	if (read_first(runner, err) < 0 || start_looking(runner, err) < 0)
		return NULL;
	if (runner->rules.count)
		log_notice("rules-loaded", log_str("files", options->config->rules.files),
			   log_uint("rules", runner->rules.count));
	return take(runner);
}

void alert_runner_free(struct alert_runner *runner)
{
	if (!runner)
		return;
	offload_free(runner->files);
	if (runner->timer)
		event_free(runner->timer);
	alert_runs_free(runner->runs);
	alert_rules_clear(&runner->reload.rules);
	buffer_deinit(&runner->reload.faults);
	alert_rules_clear(&runner->rules);
	free(runner->states);
	lru_table_free(runner->cooldowns);
	alert_repeats_free(runner->repeats);
	alert_accounts_free(runner->accounts);
	free(runner);
}

/* --- status --- */

void alert_runner_visit(const struct alert_runner *runner, alert_rule_visitor visit, void *ctx)
{
	const uint64_t now_ns = clock_boottime_ns();

	for (size_t i = 0; i < runner->rules.count; i++) {
		const struct alert_rule *rule = runner->rules.items[i];
		const struct rule_state *state = &runner->states[i];
		const struct alert_rule_status status = {
			.name = rule->name,
			.input = rule->input,
			.matches = state->matches,
			.started = state->started,
			.published = state->published,
			.suppressed = state->suppressed,
			.repeated = state->repeated,
			.failed = state->failed,
			.captures = state->captures,
			.refused = state->refused,
			.rate = minute_rate_per_second(&state->rate, now_ns),
			.last_match_ns = state->last_match_ns,
			.running = alert_runs_count(runner->runs, rule->name),
			.dry_run = rule->dry_run,
		};

		visit(ctx, &status);
	}
}

struct alert_accounts *alert_runner_accounts(const struct alert_runner *runner)
{
	return runner->accounts;
}

struct alert_counts alert_runner_counts(const struct alert_runner *runner)
{
	return runner->counts;
}
