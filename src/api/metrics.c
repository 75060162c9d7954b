/* SPDX-License-Identifier: BSD-2-Clause */
/* Two tables: metrics of the daemon, and metrics of each interface. A metric is a row and a function that reads its
 * value. */
#include "api/metrics.h"

#include <stdio.h>
#include <string.h>

#include "api/metrics_alerts.h"
#include "api/metrics_destinations.h"
#include "api/metrics_outcomes.h"
#include "api/metrics_webhooks.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "event/event.h"
#include "event/event_gate.h"
#include "status/node_status.h"

#define INTERFACE_LABEL_SIZE (4 * NETWORK_INTERFACE_ANY_NAME_MAX + 1) /* of a name, escaped, with the NUL */
#define NO_SAMPLE (-1.0)
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

struct daemon_numbers {
	struct node_load load;
	struct http_server_counts http;
};

struct daemon_metric {
	struct metric_family family;
	double (*read)(const struct daemon_numbers *numbers);
};

struct interface_metric {
	struct metric_family family;
	double (*read)(const struct node_interface *interface);
};

static double uptime(const struct daemon_numbers *n)
{
	const uint64_t now_ns = clock_realtime_ns();

	return now_ns > n->load.started_ns ? (double)(now_ns - n->load.started_ns) / NS_PER_S : 0;
}

static double running(const struct daemon_numbers *n)
{
	return (double)n->load.jobs.running;
}

static double delivering(const struct daemon_numbers *n)
{
	return (double)n->load.jobs.delivering;
}

static double elsewhere(const struct daemon_numbers *n)
{
	return (double)n->load.jobs.elsewhere;
}

static double memory(const struct daemon_numbers *n)
{
	return (double)n->load.memory_bytes;
}

static double memory_limit(const struct daemon_numbers *n)
{
	return (double)n->load.memory_limit_bytes;
}

static double warm_memory(const struct daemon_numbers *n)
{
	return (double)n->load.warm_memory_bytes;
}

static double rings_refused(const struct daemon_numbers *n)
{
	return (double)n->load.shortages.refused;
}

static double rings_shrunk(const struct daemon_numbers *n)
{
	return (double)n->load.shortages.shrunk;
}

static double kept_files(const struct daemon_numbers *n)
{
	return (double)n->load.kept.files;
}

static double kept_bytes(const struct daemon_numbers *n)
{
	return (double)n->load.kept.bytes;
}

static double spool_files(const struct daemon_numbers *n)
{
	return (double)n->load.spool.files;
}

static double spool_bytes(const struct daemon_numbers *n)
{
	return (double)n->load.spool.bytes;
}

static double connections(const struct daemon_numbers *n)
{
	return (double)n->http.connections;
}

static double delayed_handshakes(const struct daemon_numbers *n)
{
	return (double)n->http.delayed_handshakes;
}

static double log_lines_dropped(const struct daemon_numbers *n)
{
	(void)n;
	return (double)log_dropped();
}

static const struct daemon_metric daemon_metrics[] = {
	{{"pcapdaemon_uptime_seconds", METRIC_GAUGE, "seconds", "Time since the daemon started."}, uptime},
	{{"pcapdaemon_captures_running", METRIC_GAUGE, NULL, "Captures being armed or running."}, running},
	{{"pcapdaemon_captures_delivering", METRIC_GAUGE, NULL, "Captures whose files are being delivered."},
	 delivering},
	{{"pcapdaemon_requests_elsewhere", METRIC_COUNTER, NULL, "Requests addressed to other nodes."}, elsewhere},
	{{"pcapdaemon_capture_memory_bytes", METRIC_GAUGE, "bytes", "Captured bytes not delivered yet."}, memory},
	{{"pcapdaemon_capture_memory_limit_bytes", METRIC_GAUGE, "bytes",
	  "Limit on captured bytes not delivered yet (limits.memory)."},
	 memory_limit},
	{{"pcapdaemon_warm_memory_bytes", METRIC_GAUGE, "bytes", "Unused memory kept ready for packets."}, warm_memory},
	{{"pcapdaemon_rings_refused", METRIC_COUNTER, NULL, "Rings not opened because there was not the memory."},
	 rings_refused},
	{{"pcapdaemon_rings_shrunk", METRIC_COUNTER, NULL,
	  "Rings opened smaller than asked for because there was not the memory."},
	 rings_shrunk},
	{{"pcapdaemon_kept_files", METRIC_GAUGE, NULL, "Finished files kept in memory."}, kept_files},
	{{"pcapdaemon_kept_bytes", METRIC_GAUGE, "bytes", "Memory taken by kept files."}, kept_bytes},
	{{"pcapdaemon_spool_files", METRIC_GAUGE, NULL, "Files that wait in the spool to be delivered."}, spool_files},
	{{"pcapdaemon_spool_bytes", METRIC_GAUGE, "bytes", "Size of the files in the spool."}, spool_bytes},
	{{"pcapdaemon_log_dropped_lines", METRIC_COUNTER, NULL,
	  "Log lines dropped because stderr or syslog took none."},
	 log_lines_dropped},
	{{"pcapdaemon_api_connections", METRIC_GAUGE, NULL, "Connections to the control API."}, connections},
	{{"pcapdaemon_api_delayed_handshakes", METRIC_COUNTER, NULL,
	  "TLS handshakes of the control API that waited because there were too many a second."},
	 delayed_handshakes},
};

/* Interfaces that a recorder waits for have pcapdaemon_recorder_up. */
static double up(const struct node_interface *i)
{
	return i->present || i->ring ? i->up : NO_SAMPLE;
}

static double captures(const struct node_interface *i)
{
	return i->ring ? (double)i->captures : NO_SAMPLE;
}

static double packets(const struct node_interface *i)
{
	return i->ring ? (double)i->packets : NO_SAMPLE;
}

static double dropped(const struct node_interface *i)
{
	return i->ring ? (double)i->dropped : NO_SAMPLE;
}

static double reach(const struct node_interface *i)
{
	return i->recorder ? (double)i->reach_ns / NS_PER_S : NO_SAMPLE;
}

static double held(const struct node_interface *i)
{
	return i->recorder ? (double)i->held_bytes : NO_SAMPLE;
}

static double ring_size(const struct node_interface *i)
{
	return i->ring ? (double)i->ring_bytes : NO_SAMPLE;
}

static double ring_asked(const struct node_interface *i)
{
	return i->ring ? (double)i->asked_bytes : NO_SAMPLE;
}

static const struct interface_metric interface_metrics[] = {
	{{"pcapdaemon_interface_up", METRIC_GAUGE, NULL, "Whether the interface is up."}, up},
	{{"pcapdaemon_interface_captures", METRIC_GAUGE, NULL, "Captures on the interface."}, captures},
	{{"pcapdaemon_interface_packets", METRIC_COUNTER, NULL, "Packets offered to the ring since it was opened."},
	 packets},
	{{"pcapdaemon_interface_dropped_packets", METRIC_COUNTER, NULL,
	  "Packets dropped because the ring had no room."},
	 dropped},
	{{"pcapdaemon_recorder_reach_seconds", METRIC_GAUGE, "seconds", "How far back the recorder reaches."}, reach},
	{{"pcapdaemon_recorder_held_bytes", METRIC_GAUGE, "bytes", "Memory of the packets the recorder holds."}, held},
	{{"pcapdaemon_ring_size_bytes", METRIC_GAUGE, "bytes", "Size of the ring."}, ring_size},
	{{"pcapdaemon_ring_asked_bytes", METRIC_GAUGE, "bytes",
	  "Size that the ring should have; larger than its size if there was not the memory."},
	 ring_asked},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int write_build(struct metric_writer *out, const struct node_status *status)
{
	static const struct metric_family family = {"pcapdaemon_build", METRIC_INFO, NULL,
						    "Version and node name of the daemon."};
	const struct metric_label labels[] = {{"version", PCAPDAEMON_VERSION},
					      {"node", node_status_node(status)},
					      {NULL, NULL}};
	const int r = metric_header(out, &family);

	return r == 0 ? metric_sample(out, &family, labels, 1) : r;
}

static int write_events(struct metric_writer *out, const struct daemon_numbers *numbers)
{
	static const struct metric_family family = {"pcapdaemon_events", METRIC_COUNTER, NULL,
						    "Events published, by kind."};
	int r = metric_header(out, &family);

	for (int kind = 0; kind < EVENT_KINDS && r == 0; kind++) {
		const struct metric_label labels[] = {{"event", event_kind_name((enum event_kind)kind)}, {NULL, NULL}};

		r = metric_sample(out, &family, labels, (double)numbers->load.jobs.events[kind]);
	}
	return r;
}

static int write_refusals(struct metric_writer *out, const struct http_server_counts *http)
{
	static const struct metric_family family = {"pcapdaemon_api_refusals", METRIC_COUNTER, NULL,
						    "Connections to the control API refused or cut, by cause."};
	int r = metric_header(out, &family);

	for (int cause = 0; cause < HTTP_REFUSAL_COUNT && r == 0; cause++) {
		const struct metric_label labels[] = {{"cause", http_refusal_name((enum http_refusal)cause)},
						      {NULL, NULL}};

		r = metric_sample(out, &family, labels, (double)http->refused[cause]);
	}
	return r;
}

static int write_daemon(struct metric_writer *out, const struct daemon_numbers *numbers)
{
	static const struct metric_label none[] = {{NULL, NULL}};
	int r = 0;

	for (size_t i = 0; i < COUNT(daemon_metrics) && r == 0; i++) {
		const struct daemon_metric *metric = &daemon_metrics[i];

		r = metric_header(out, &metric->family);
		if (r == 0)
			r = metric_sample(out, &metric->family, none, metric->read(numbers));
	}
	return r;
}

/* Different names must not become one series, so bytes that are not UTF-8 are written as "\\xFF", and a backslash
 * twice. */
static const char *interface_label(const char *name, char label[INTERFACE_LABEL_SIZE])
{
	size_t size = 0;

	for (size_t left = strlen(name), step; left > 0 && size + 5 <= INTERFACE_LABEL_SIZE;
	     name += step, left -= step) {
		uint32_t code;

		step = utf8_decode(name, left, &code);
		if (step == 0) {
			step = 1;
			size += (size_t)snprintf(label + size, 5, "\\x%02X", (unsigned)(uint8_t)*name);
		} else if (*name == '\\') {
			size += (size_t)snprintf(label + size, 3, "\\\\");
		} else {
			memcpy(label + size, name, step);
			size += step;
		}
	}
	label[size] = '\0';
	return label;
}

static int write_interfaces(struct metric_writer *out, const struct interface_metric *metric,
			    const struct node_interface *list, size_t count)
{
	int r = metric_header(out, &metric->family);

	for (size_t i = 0; i < count && r == 0; i++) {
		char name[INTERFACE_LABEL_SIZE];
		const struct metric_label labels[] = {{"interface", interface_label(list[i].name, name)}, {NULL, NULL}};
		const double value = metric->read(&list[i]);

		if (value >= 0)
			r = metric_sample(out, &metric->family, labels, value);
	}
	return r;
}

static int write_recorders(struct metric_writer *out, const struct node_interface_list *list)
{
	static const struct metric_family family = {"pcapdaemon_recorder_up", METRIC_GAUGE, NULL,
						    "Whether the recorder records, by the name in history.interfaces."};
	int r = metric_header(out, &family);

	for (size_t i = 0; i < list->recorder_count && r == 0; i++) {
		char name[INTERFACE_LABEL_SIZE];
		const struct metric_label labels[] = {{"interface", interface_label(list->recorders[i].setting, name)},
						      {NULL, NULL}};

		r = metric_sample(out, &family, labels, list->recorders[i].up);
	}
	return r;
}

static int write_interface_total(struct metric_writer *out, size_t total)
{
	static const struct metric_family family = {"pcapdaemon_interfaces", METRIC_GAUGE, NULL,
						    "Interfaces; at most " TEXT(
							    METRICS_INTERFACES_MAX) " of them have metrics."};
	static const struct metric_label none[] = {{NULL, NULL}};

	const int r = metric_header(out, &family);

	return r == 0 ? metric_sample(out, &family, none, (double)total) : r;
}

struct redis_metric {
	struct metric_family family;
	double (*read)(const struct node_redis *redis);
	bool (*known)(const struct node_redis *redis); /* NULL: always */
};

static bool has_clock(const struct node_redis *redis)
{
	return redis->clock_known;
}

static bool has_stream(const struct node_redis *redis)
{
	return redis->stream_wanted;
}

static double waiting(const struct node_redis *redis)
{
	return (double)redis->waiting;
}

static double clock_offset(const struct node_redis *redis)
{
	return (double)redis->clock_offset_ns / NS_PER_S;
}

static double clock_uncertainty(const struct node_redis *redis)
{
	return (double)redis->clock_uncertainty_ns / NS_PER_S;
}

static double stream_running(const struct node_redis *redis)
{
	return (double)redis->stream_running;
}

static double stream_waiting(const struct node_redis *redis)
{
	return (double)redis->stream_waiting;
}

static double stream_pauses(const struct node_redis *redis)
{
	return (double)redis->stream_pauses;
}

static const struct redis_metric redis_metrics[] = {
	{{"pcapdaemon_redis_waiting", METRIC_GAUGE, NULL, "Events and answers waiting for Redis."}, waiting, NULL},
	{{"pcapdaemon_redis_clock_offset_seconds", METRIC_GAUGE, "seconds",
	  "Estimate of the Redis server's clock minus this host's."},
	 clock_offset,
	 has_clock},
	{{"pcapdaemon_redis_clock_uncertainty_seconds", METRIC_GAUGE, "seconds",
	  "How far that estimate may be off, either way."},
	 clock_uncertainty,
	 has_clock},
	{{"pcapdaemon_stream_requests_running", METRIC_GAUGE, NULL,
	  "Requests from the stream that were taken and are not final yet."},
	 stream_running,
	 has_stream},
	{{"pcapdaemon_stream_requests_waiting", METRIC_GAUGE, NULL,
	  "Requests from the stream that met a limit and wait for another try."},
	 stream_waiting,
	 has_stream},
	{{"pcapdaemon_stream_read_pauses", METRIC_COUNTER, NULL,
	  "Pauses because Redis answered reads of the stream at once, without a new request."},
	 stream_pauses,
	 has_stream},
};

static int write_links(struct metric_writer *out, const struct node_redis *redis)
{
	static const struct metric_family up = {"pcapdaemon_redis_up", METRIC_GAUGE, NULL,
						"Whether the link to Redis is up, by purpose."};
	const struct metric_label requests[] = {{"link", "requests"}, {NULL, NULL}};
	const struct metric_label events[] = {{"link", "events"}, {NULL, NULL}};
	int r = metric_header(out, &up);

	if (r == 0)
		r = metric_sample(out, &up, requests, redis->requests);
	return r == 0 ? metric_sample(out, &up, events, redis->events) : r;
}

/* Writes nothing if Redis is not wanted. */
static int write_redis(struct metric_writer *out, const struct node_redis *redis)
{
	static const struct metric_label none[] = {{NULL, NULL}};
	int r = redis->wanted ? write_links(out, redis) : 0;

	for (size_t i = 0; i < COUNT(redis_metrics) && r == 0 && redis->wanted; i++) {
		const struct redis_metric *metric = &redis_metrics[i];

		if (metric->known && !metric->known(redis))
			continue;
		r = metric_header(out, &metric->family);
		if (r == 0)
			r = metric_sample(out, &metric->family, none, metric->read(redis));
	}
	return r;
}

static int write_suppressed(struct metric_writer *out, const struct event_gate *gate)
{
	static const struct metric_family family = {"pcapdaemon_suppressed_events", METRIC_COUNTER, NULL,
						    "Events not published because messages caused too many, by cause."};
	int r = metric_header(out, &family);

	for (int cause = 0; cause < SUPPRESSED_CAUSES && r == 0; cause++) {
		const struct metric_label labels[] = {{"cause", suppressed_cause_name((enum suppressed_cause)cause)},
						      {NULL, NULL}};

		r = metric_sample(out, &family, labels,
				  (double)event_gate_suppressed(gate, (enum suppressed_cause)cause));
	}
	return r;
}

int metrics_write(struct metric_writer *out, const struct metrics_source *source)
{
	const struct node_status *status = source->status;
	const struct daemon_numbers numbers = {.load = node_status_load(status), .http = source->http};
	cleanup(node_interface_list_deinit) struct node_interface_list list;
	int r = node_interfaces_list(node_status_interfaces(status), METRICS_INTERFACES_MAX, &list);

	if (r == 0)
		r = write_build(out, status);
	if (r == 0)
		r = write_daemon(out, &numbers);
	if (r == 0)
		r = write_refusals(out, &numbers.http);
	if (r == 0)
		r = write_events(out, &numbers);
	if (r == 0)
		r = write_suppressed(out, source->gate);
	if (r == 0)
		r = metrics_write_outcomes(out, &numbers.load.jobs.outcomes);
	if (r == 0)
		r = metrics_write_destinations(out, source->deliveries);
	if (r == 0)
		r = metrics_write_webhooks(out, source->webhooks);
	if (r == 0)
		r = metrics_write_alerts(out, source->alerts);
	if (r == 0)
		r = write_redis(out, &numbers.load.redis);
	if (r == 0)
		r = write_recorders(out, &list);
	if (r == 0)
		r = write_interface_total(out, list.total);
	for (size_t i = 0; i < COUNT(interface_metrics) && r == 0; i++)
		r = write_interfaces(out, &interface_metrics[i], list.items, list.count);
	return r == 0 ? metric_end(out) : r;
}
