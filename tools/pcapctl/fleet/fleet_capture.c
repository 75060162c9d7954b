/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscribes to events, reads presence, then publishes the request. Tallies events until every expected node has
 * answered or the time for answers is over; with --wait, or to merge, then waits for every capture to be final.
 * Meanwhile presence is read again, so that pcapctl does not wait for a node that has died.
 *
 * pcapctl rides out Redis outages of up to two minutes, such as a failover. When the subscription is back, it publishes
 * the request again: nodes that have it repeat their answers, and do not run it twice. It does so REPEATS_MAX
 * times, because after a failover nodes may stay with the old master, where pcapctl no longer hears them. During an
 * outage it sends no queries, the time for answers does not end, and expired presence does not count against the nodes.
 * After a longer outage it shows the answers so far.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"
#include "base/quantity.h"
#include "base/suggest.h"
#include "bpf/filter_syntax.h"
#include "config/config_keys.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/fleet/fleet_expect.h"
#include "pcapctl/fleet/fleet_merge.h"
#include "pcapctl/fleet/fleet_outcome.h"
#include "pcapctl/fleet/fleet_tally.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/progress.h"
#include "pcapctl/output/results.h"
#include "request/request_node.h"
#include "request/signature.h"

#define ANSWER_TIMEOUT_NS (5 * NS_PER_S)
#define PRESENCE_INTERVAL_NS (5 * NS_PER_S)
#define PRESENCE_PAUSE_NS (15 * NS_PER_S) /* after an outage, in which no node could renew its presence */
#define REPEAT_INTERVAL_NS (5 * NS_PER_S)
#define REPEATS_MAX 4 /* after an interruption */
#define ANSWER_EXTENSION_NS (REPEATS_MAX * REPEAT_INTERVAL_NS)

struct capture_session {
	const struct command_context *context;
	json_t *request;
	json_t *expected;	 /* names of nodes that should answer; NULL: those that presence knows */
	struct config_key *keys; /* that sign the request: the first of them; NULL: none */
	size_t key_count;
	const char *stream, *merge_to;
	char *own_name; /* of the merged file of a history, if the command line has none */
	bool wait, history;
	uint64_t answer_timeout_ns, max_duration_ns;

	struct fleet_bus *bus;
	struct fleet_tally *tally;		 /* NULL: presence was not read yet */
	uint64_t published_ns, presence_read_ns; /* boot time */
	uint64_t answers_end_ns;		 /* boot time */
	unsigned lost_subscriptions, interrupts;
	unsigned repeats_left;
	uint64_t repeated_ns;
	bool stream_add_again; /* a master that was replaced may have lost the entry */
	bool gave_up;	       /* an error ended the wait */
	bool id_reused;	       /* a node answered this --id before */
	bool out_of_memory;
	uint64_t suppressed; /* answers that nodes did not publish meanwhile, to this or other requests */
};

/* Not after a repeated request: nodes then repeat their answers for that reason alone. */
static bool shows_id_reuse(const struct capture_session *session, const json_t *event)
{
	return event_is_duplicate(event) && command_line_has(session->context->line, OPTION_ID) &&
	       session->repeats_left == 0 && session->repeated_ns == 0 &&
	       strcmp(json_text(event, "id"), json_text(session->request, "id")) == 0;
}

static void on_event(void *ctx, const json_t *event)
{
	struct capture_session *session = ctx;
	bool changed;

	if (event_is_suppressed(event) && !event_is_flood_of_alerts(event))
		session->suppressed += json_number(event, "count");
	if (session->tally && fleet_tally_event(session->tally, event, clock_boottime_ns(), &changed) < 0)
		session->out_of_memory = true;
	session->id_reused |= session->tally && shows_id_reuse(session, event);
}

/* --- publishing --- */

static int read_key(struct capture_session *session, struct error *err)
{
	const char *path = command_line_value(session->context->line, OPTION_KEY_FILE);
	const int r = path ? config_keys_read(path, &session->keys, &session->key_count, err) : 0;

	if (r < 0)
		error_prefix(err, "--key-file");
	return r;
}

/* Those that every daemon would refuse, before Redis is asked for anything. */
static int check_expressions(const struct command_line *line, struct error *err)
{
	const char *nodere = command_line_value(line, OPTION_NODERE);
	int r = filter_check_syntax(line->filter, err);

	if (r < 0) {
		error_prefix(err, "bpf");
		return r;
	}
	r = filter_check_syntax(command_line_value(line, OPTION_INNER), err);
	if (r < 0) {
		error_prefix(err, "--inner");
		return r;
	}
	if (nodere && request_node_matches(nodere, strlen(nodere), "node", err) < 0) {
		error_prefix(err, "--nodere");
		return -EINVAL;
	}
	return 0;
}

static int read_expected(struct capture_session *session, struct error *err)
{
	const char *path = command_line_value(session->context->line, OPTION_EXPECT);

	return path ? fleet_expect_read(path, &session->expected, err) : 0;
}

/* A window of the past is a request like others, up to now at the latest. */
static int complete_history(struct capture_session *session, struct error *err)
{
	const uint64_t now_ns = clock_realtime_ns();
	char text[CLOCK_TEXT_SIZE];
	uint64_t from_ns, to_ns;
	int r = request_window(session->context->line, &from_ns, &to_ns, err);

	if (r < 0)
		return r;
	if (!from_ns)
		return error_set(err, -EINVAL, "the history of a fleet needs a start: --last, --around or --from");
	if (!to_ns || to_ns > now_ns)
		r = json_object_set_new(session->request, "to", json_string(clock_format(now_ns, text)));
	if (r == 0 && !session->merge_to &&
	    asprintf(&session->own_name, "history-%s-%s.pcapng", clock_format_compact(from_ns, text),
		     json_text(session->request, "id")) < 0)
		session->own_name = NULL;
	session->merge_to = session->merge_to ? session->merge_to : session->own_name;
	return r < 0 || !session->merge_to ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int prepare(struct capture_session *session, struct error *err)
{
	const struct command_line *line = session->context->line;
	const char *timeout = command_line_value(line, OPTION_ANSWER_TIMEOUT);
	const char *format = command_line_value(line, OPTION_FORMAT);
	struct request_plan plan = {0};

	session->merge_to = command_line_output(line);
	session->wait = command_line_has(line, OPTION_WAIT) || session->merge_to || session->history;
	session->stream = command_line_value(line, OPTION_STREAM);
	session->answer_timeout_ns = ANSWER_TIMEOUT_NS;
	if (timeout && quantity_parse_duration(timeout, &session->answer_timeout_ns) < 0)
		return error_set(err, -EINVAL, "--answer-timeout: must be a time like 5s");
	plan.destination = session->merge_to || session->history ? "redis" : NULL;
	plan.merge = session->merge_to && command_line_has(line, OPTION_DROP_DUPLICATES); /* on each node */
	if (session->merge_to && command_line_wants_pcap(line))
		return error_set(err, -EINVAL, "%s: a merged file is always pcapng",
				 format ? "--format pcap" : session->merge_to);
	int r = check_expressions(line, err);
	if (r == 0)
		r = read_expected(session, err);
	if (r == 0)
		r = request_build(line, &plan, &session->request, err);
	if (r < 0)
		return r;
	if (session->history)
		r = complete_history(session, err);
	if (r < 0)
		return r;
	session->max_duration_ns = request_max_duration_ns(session->request);
	return read_key(session, err);
}

/* The request as it is sent now: a signature is good for one time only. */
static int serialise(struct capture_session *session, char **text, struct error *err)
{
	const int r = session->keys ? signature_sign(session->request, session->keys, err) : 0;

	if (r < 0) {
		error_prefix(err, "--key-file: the signature");
		return r;
	}
	*text = json_dumps(session->request, JSON_COMPACT);
	return *text ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int publish(struct capture_session *session, struct error *err)
{
	cleanup(cleanup_free) char *text = NULL;
	uint64_t listeners = 0;
	int r = serialise(session, &text, err);

	if (r < 0)
		return r;
	session->lost_subscriptions = fleet_bus_lost_subscriptions(session->bus);
	if (session->stream)
		return fleet_bus_stream_add(session->bus, session->stream, text, err);
	r = fleet_bus_publish(session->bus, text, &listeners, err);
	if (r < 0 || listeners > 0 || fleet_tally_counts(session->tally).expected_alive > 0)
		return r;
	return error_set(err, -ENOENT,
			 "no node listens on this channel of %s; is it the daemons' channel ([redis] channel)?",
			 fleet_bus_name(session->bus));
}

/* After an outage: nodes may come back later than pcapctl, and may not have the request. */
static void extend_deadlines(struct capture_session *session)
{
	const uint64_t now_ns = clock_boottime_ns();

	session->repeats_left = REPEATS_MAX;
	session->stream_add_again = session->stream;
	session->presence_read_ns = now_ns + PRESENCE_PAUSE_NS;
	if (session->answers_end_ns < now_ns + ANSWER_EXTENSION_NS)
		session->answers_end_ns = now_ns + ANSWER_EXTENSION_NS;
}

static bool selects_nodes(const struct command_line *line)
{
	return command_line_has(line, OPTION_NODE) || command_line_has(line, OPTION_NODERE);
}

/* The request goes out all the same: presence may be off on that node. */
static int expect_named_node(struct capture_session *session, const json_t *nodes, struct error *err)
{
	const char *name = command_line_value(session->context->line, OPTION_NODE), *nearest;
	const size_t count = json_array_size(nodes);
	char shown[2][256];

	if (!name || strcmp(name, "any") == 0 || fleet_tally_knows(session->tally, name))
		return 0;
	cleanup(cleanup_json) json_t *names = json_pack("[s]", name);
	cleanup(cleanup_free) const char **known = calloc(count + 1, sizeof(*known));
	if (!known || !names)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		known[i] = json_text(json_array_get(nodes, i), "node");
	nearest = suggest(name, known, count);
	terminal_error("presence knows no node \"%s\"%s%s%s; `pcapctl nodes` lists them",
		       printable(shown[0], sizeof(shown[0]), name), nearest ? " (did you mean \"" : "",
		       nearest ? printable(shown[1], sizeof(shown[1]), nearest) : "", nearest ? "\"?)" : "");
	return session->expected ? 0 : fleet_tally_expect(session->tally, session->request, names, err);
}

/* Nodes that were stopped cleanly are not waited for. */
static void note_stopped_nodes(const struct capture_session *session, const json_t *nodes)
{
	char shown[2][256], time[FORMAT_SIZE];
	size_t i;
	json_t *node;

	json_array_foreach(nodes, i, node)
	{
		const char *stopped = json_text(json_object_get(node, "presence"), "stopped");

		if (*stopped && fleet_tally_knows(session->tally, json_text(node, "node")))
			terminal_note(session->context->terminal, "%s is stopped since %s and is not waited for",
				      printable(shown[0], sizeof(shown[0]), json_text(node, "node")),
				      printable(shown[1], sizeof(shown[1]), format_time(stopped, time)));
	}
}

static bool names_one_node(const struct command_line *line)
{
	const char *name = command_line_value(line, OPTION_NODE);

	return name && strcmp(name, "any") != 0;
}

static int decide_expected(struct capture_session *session, const json_t *nodes, struct error *err)
{
	int r = session->expected ? fleet_tally_expect(session->tally, session->request, session->expected, err) : 0;

	if (r == 0)
		r = expect_named_node(session, nodes, err);
	if (r == 0 && !session->expected && !names_one_node(session->context->line))
		note_stopped_nodes(session, nodes);
	return r;
}

static int begin(struct capture_session *session, struct error *err)
{
	cleanup(cleanup_json) json_t *nodes = NULL;
	int r;

	session->bus = fleet_bus_new(session->context->target->fleet, on_event, session, err);
	if (!session->bus)
		return -ENOTCONN;
	r = fleet_bus_nodes(session->bus, &nodes, err);
	if (r < 0)
		return r;
	session->tally = fleet_tally_new(session->request, nodes, session->stream, err);
	if (!session->tally)
		return -EINVAL;
	r = decide_expected(session, nodes, err);
	if (r < 0)
		return r;
	if (!selects_nodes(session->context->line))
		terminal_note(session->context->terminal, "asking every node of %s (no --node or --nodere)",
			      fleet_bus_name(session->bus));
	session->published_ns = session->presence_read_ns = clock_boottime_ns();
	session->answers_end_ns = session->published_ns + session->answer_timeout_ns;
	r = publish(session, err);
	if (r < 0 && !fleet_bus_should_retry(session->bus, r))
		return r;
	terminal_note(session->context->terminal, "request %s %s", json_text(session->request, "id"),
		      r < 0		? "will be published once Redis is back"
		      : session->stream ? "added to the stream"
					: "published");
	if (r < 0)
		extend_deadlines(session); /* it may have been published */
	return 0;
}

/* --- waiting --- */

static bool is_finished(const struct capture_session *session)
{
	const uint64_t now_ns = clock_boottime_ns();
	const bool disconnected = !fleet_bus_is_subscribed(session->bus) ||
				  session->lost_subscriptions != fleet_bus_lost_subscriptions(session->bus);
	const bool may_answer = disconnected || now_ns < session->answers_end_ns;

	if (may_answer && !fleet_tally_answered(session->tally))
		return false;
	return !session->wait || fleet_tally_complete(session->tally, now_ns);
}

static void show_progress(const struct capture_session *session)
{
	struct fleet_counts counts = fleet_tally_counts(session->tally);
	uint64_t ends_ns = session->published_ns + session->max_duration_ns, now_ns = clock_boottime_ns();
	char texts[3][FORMAT_SIZE];

	progress_show(session->context->terminal,
		      "%zu of %zu nodes answered, %zu captures running, %zu over: %s packets, %s%s%s", counts.answered,
		      counts.expected > counts.answered ? counts.expected : counts.answered, counts.running,
		      counts.ended, format_count(counts.packets, texts[0]), format_bytes(counts.bytes, texts[1]),
		      counts.running && ends_ns > now_ns ? ", at most " : "",
		      counts.running && ends_ns > now_ns ? format_duration(ends_ns - now_ns, texts[2]) : "");
}

static bool take_due_repeat(struct capture_session *session)
{
	const unsigned lost_subscriptions = fleet_bus_lost_subscriptions(session->bus);

	if (session->lost_subscriptions != lost_subscriptions) {
		extend_deadlines(session);
	} else if (session->repeats_left == 0 || clock_boottime_ns() < session->repeated_ns + REPEAT_INTERVAL_NS) {
		return false;
	}
	session->lost_subscriptions = lost_subscriptions;
	session->repeats_left--;
	session->repeated_ns = clock_boottime_ns();
	return true;
}

/* When a repeat is due, publishes the request again, so that nodes repeat their answers; with --stream, reads the
 * answers that they stored. */
static int repeat_request(struct capture_session *session, struct error *err)
{
	cleanup(cleanup_json) json_t *silent = NULL;
	size_t i, k;
	json_t *node, *event;
	int r = 0;

	if (!take_due_repeat(session))
		return 0;
	if (!session->stream) {
		r = publish(session, err);
		return r == -ENOENT ? 0 : r; /* no node is back yet */
	}
	silent = fleet_tally_silent(session->tally, true);
	if (session->stream_add_again && json_array_size(silent) > 0)
		r = publish(session, err);
	if (r < 0)
		return r;
	session->stream_add_again = false;
	json_array_foreach(silent, i, node)
	{
		cleanup(cleanup_json) json_t *events = NULL;

		r = fleet_bus_stored_answer(session->bus, json_string_value(node), json_text(session->request, "id"),
					    &events, err);
		if (r < 0)
			return r;
		json_array_foreach(events, k, event)
		{
			on_event(session, event);
		}
	}
	return 0;
}

static int refresh_presence(struct capture_session *session, struct error *err)
{
	cleanup(cleanup_json) json_t *nodes = NULL;
	uint64_t now_ns = clock_boottime_ns();
	int r;

	if (!session->wait ||
	    now_ns < session->presence_read_ns + PRESENCE_INTERVAL_NS) /* presence_read_ns may be in the future */
		return 0;
	r = fleet_bus_nodes(session->bus, &nodes, err);
	if (r < 0)
		return r;
	session->presence_read_ns = clock_boottime_ns();
	fleet_tally_presence(session->tally, nodes);
	return 0;
}

/* Repeats the request if events were missed, and refreshes presence. */
static int catch_up(struct capture_session *session, struct error *err)
{
	int r;

	if (!fleet_bus_is_subscribed(session->bus)) {
		if (fleet_bus_outage_ns(session->bus) < FLEET_OUTAGE_MAX_NS)
			return 0;
		return error_set(err, -ENOTCONN, "%s has been away for more than %u s; running captures go on",
				 fleet_bus_name(session->bus), (unsigned)(FLEET_OUTAGE_MAX_NS / NS_PER_S));
	}
	r = repeat_request(session, err);
	if (r == 0)
		r = refresh_presence(session, err);
	if (r == 0 || !fleet_bus_should_retry(session->bus, r))
		return r;
	extend_deadlines(session);
	return 0;
}

static int wait_for_nodes(struct capture_session *session, struct error *err)
{
	int fd = interrupts_begin(), r = 0;

	while (r == 0 && session->interrupts == 0 && !is_finished(session)) {
		show_progress(session);
		fleet_bus_run(session->bus, PROGRESS_INTERVAL_MS, fd);
		session->interrupts += interrupts_take();
		if (session->interrupts == 0)
			r = catch_up(session, err);
		if (r == -EINTR)
			r = 0; /* the next turn handles it */
		if (session->out_of_memory)
			r = error_set(err, -ENOMEM, "out of memory");
	}
	progress_clear(session->context->terminal);
	if (session->interrupts > 0)
		terminal_note(session->context->terminal,
			      "no longer waiting; running captures go on: `pcapctl watch --id %s%s` shows how they end",
			      json_text(session->request, "id"), command_target_options(session->context->target));
	return r;
}

/* --- results --- */

static enum exit_status merge(const struct capture_session *session, struct fleet_outcome *outcome,
			      enum exit_status status)
{
	struct error err;
	size_t missing = 0;
	cleanup(cleanup_free) char *silent = fleet_outcome_missing(outcome);
	const struct fleet_merge_options options = {.path = session->merge_to, .missing = silent};
	int r = fleet_merge(session->bus, outcome->events, &options, &missing, &outcome->saved, &err);

	if (r < 0) {
		terminal_error("%s", err.text);
		fleet_outcome_print_get_hint(outcome);
	}
	if (r == -EINTR)
		return STATUS_INTERRUPTED;
	if (r < 0 || (missing > 0 && !outcome->saved))
		return STATUS_FAILED;
	return missing > 0 && status != STATUS_FAILED ? STATUS_PARTIAL : status;
}

static void print_other_requests(const struct capture_session *session, const struct fleet_outcome *outcome)
{
	const struct command_context *context = session->context;

	results_print_folded(outcome->events, command_target_options(context->target), true, session->merge_to);
	if (session->id_reused)
		terminal_note(context->terminal,
			      "the id %s was used before: nodes that know it answer with their earlier captures",
			      json_text(session->request, "id"));
}

static enum exit_status conclude(struct capture_session *session)
{
	cleanup(fleet_outcome_deinit) struct fleet_outcome outcome = {
		.context = session->context,
		.request = session->request,
		.tally = session->tally,
		.events = fleet_tally_events(session->tally),
		.silent = fleet_tally_silent(session->tally, false),
		.unfinished = session->wait ? fleet_tally_unfinished(session->tally) : json_array(),
		.wait = session->wait,
	};
	enum exit_status status = fleet_outcome_status(&outcome);

	if (session->gave_up)
		status = status == STATUS_FAILED ? STATUS_FAILED : STATUS_PARTIAL;
	else if (session->merge_to)
		status = merge(session, &outcome, status);
	if (session->gave_up && session->merge_to)
		fleet_outcome_print_get_hint(&outcome);
	if (json_array_size(outcome.events) == 0 && !session->gave_up)
		terminal_error("no node answered within %.3g s; `pcapctl nodes` lists the nodes",
			       (double)session->answer_timeout_ns / NS_PER_S);
	if (fleet_outcome_print(&outcome) < 0)
		status = STATUS_FAILED;
	if (session->merge_to && !outcome.saved && (status == STATUS_EMPTY || status == STATUS_PARTIAL))
		terminal_note(session->context->terminal, "%s not written",
			      strcmp(session->merge_to, "-") == 0 ? "the file is" : session->merge_to);
	fleet_outcome_note_running(&outcome);
	print_other_requests(session, &outcome);
	if (session->suppressed)
		terminal_note(
			session->context->terminal,
			"nodes did not publish %" PRIu64
			" answers meanwhile, because there were too many; a silent node may have refused the request",
			session->suppressed);
	return status;
}

static enum exit_status run(const struct command_context *context, bool history)
{
	struct capture_session session = {.context = context, .history = history};
	enum exit_status status = STATUS_USAGE;
	struct error err;
	int r = prepare(&session, &err);

	if (r == 0) {
		status = STATUS_FAILED;
		r = session.merge_to ? fleet_merge_check(session.merge_to, &err) : 0; /* before packets are captured */
	}
	if (r == 0)
		r = begin(&session, &err);
	if (r == 0) {
		r = wait_for_nodes(&session, &err);
		session.gave_up = r < 0;
	}
	if (r < 0)
		terminal_error("%s", err.text);
	if (r == 0 || session.gave_up)
		status = conclude(&session);
	fleet_bus_free(session.bus);
	fleet_tally_free(session.tally);
	json_decref(session.request);
	json_decref(session.expected);
	free(session.own_name);
	config_keys_free(session.keys, session.key_count);
	return status;
}

enum exit_status fleet_capture(const struct command_context *context)
{
	return run(context, false);
}

enum exit_status fleet_history(const struct command_context *context)
{
	return run(context, true);
}
