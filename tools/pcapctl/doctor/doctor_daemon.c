/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon may be of another version: what it does not tell counts as in order. */
#include "pcapctl/doctor/doctor_daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/suggest.h"
#include "config/config.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/doctor/findings.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/output/format.h"

#define CLOCK_DIFFERENCE_S 1 /* as in the daemon's log (clock-differs) */
#define MEMORY_FULL_PERCENT 90
#define NAMES_MAX 4096
#define ANSWER_TIMEOUT_NS (10 * NS_PER_S)
#define RUN_MS 100

static const char *nearest(const json_t *interfaces, const char *name)
{
	cleanup(cleanup_free) const char **names = calloc(NAMES_MAX, sizeof(*names));
	size_t i, count = 0;
	json_t *interface;

	json_array_foreach(interfaces, i, interface)
	{
		if (names && count < NAMES_MAX && !json_is_true(json_object_get(interface, "waiting")))
			names[count++] = json_text(interface, "name");
	}
	return count ? suggest(name, names, count) : NULL;
}

static void check_recorder(struct findings *findings, const json_t *interfaces, const json_t *interface,
			   const struct config *config)
{
	const char *name = json_text(interface, "name");
	const uint64_t ring = json_number(interface, "ring"), dropped = json_number(interface, "dropped");
	char has[FORMAT_SIZE], wanted[FORMAT_SIZE],
		advice[256] = "connect the interface, or correct history.interfaces";

	if (json_is_true(json_object_get(interface, "waiting"))) {
		const char *near = nearest(interfaces, name);

		if (near)
			snprintf(advice, sizeof(advice), "write \"%.64s\" into history.interfaces if that is meant",
				 near);
		finding_add(findings, FINDING_WARNING, "recorder", advice,
			    "the recorder waits for \"%s\", which is not there", name);
		return;
	}
	if (!json_is_true(json_object_get(interface, "recorder")))
		return;
	if (!json_is_true(json_object_get(interface, "up")))
		finding_add(findings, FINDING_WARNING, "recorder", "ip link set up, if it should carry traffic",
			    "%s is recorded, but is down", name);
	if (config && ring && ring < config->history.memory_bytes / 4 * 3)
		finding_add(findings, FINDING_WARNING, "ring",
			    "lower history.memory, or free memory and restart the daemon",
			    "the recorder on %s got %s of %s: the kernel had no more memory", name,
			    format_bytes(ring, has), format_bytes(config->history.memory_bytes, wanted));
	if (dropped)
		finding_add(findings, FINDING_WARNING, "drops",
			    "raise history.memory, limit history.filter, or give the daemon more CPU",
			    "the ring of %s has dropped %" PRIu64 " packets", name, dropped);
}

static void check_redis(struct findings *findings, const json_t *redis)
{
	const json_t *clock = json_object_get(redis, "clock");
	const double ahead_s = -json_number_value(json_object_get(clock, "offset"));

	if (!json_is_object(redis))
		return;
	if (!json_is_true(json_object_get(redis, "requests")))
		finding_add(findings, FINDING_FAULT, "requests",
			    "look for redis- messages in its log: address, password, ACL (SUBSCRIBE) or TLS",
			    "the daemon takes no requests from Redis");
	if (!json_is_true(json_object_get(redis, "events")))
		finding_add(findings, FINDING_FAULT, "events",
			    "look for redis- messages in its log: address, password, ACL (PUBLISH) or TLS",
			    "the daemon sends no events to Redis; %" PRIu64 " wait", json_number(redis, "waiting"));
	if (fabs(ahead_s) > CLOCK_DIFFERENCE_S)
		finding_add(findings, FINDING_WARNING, "clock", "synchronise both clocks (NTP)",
			    "this host's clock is %.3g s %s Redis's: windows of requests fall beside the traffic",
			    fabs(ahead_s), ahead_s > 0 ? "ahead of" : "behind");
}

static void check_load(struct findings *findings, const json_t *load)
{
	const uint64_t used = json_number(load, "memory"), limit = json_number(load, "memory_limit");
	char text[FORMAT_SIZE];

	if (limit && used > limit / 100 * MEMORY_FULL_PERCENT)
		finding_add(findings, FINDING_WARNING, "limits", "raise limits.memory, or mend slow destinations",
			    "captures hold %s, nearly all of limits.memory", format_bytes(used, text));
}

static void check_failing(struct findings *findings, const json_t *failing)
{
	const json_t *destination;
	size_t i;

	json_array_foreach(failing, i, destination)
	{
		finding_add(findings, FINDING_FAULT, "failing",
			    "run pcapctl check --destinations, which says what to do",
			    "the destination %.64s keeps failing: %.500s", json_text(destination, "name"),
			    json_text(destination, "error"));
	}
}

void doctor_status(struct findings *findings, const json_t *status, const json_t *interfaces,
		   const struct config *config)
{
	const char *version = json_text(status, "version"), *cannot = json_text(status, "cannot_capture");
	size_t i;
	json_t *interface;

	if (*cannot)
		finding_add(findings, FINDING_FAULT, "capture",
			    "start it as root, or with CAP_NET_RAW (AmbientCapabilities= in the unit)",
			    "the daemon may not capture: %s", cannot);
	else
		finding_add(findings, FINDING_OK, "capture", "", "the daemon may capture");
	if (strcmp(version, PCAPDAEMON_VERSION) != 0)
		finding_add(findings, FINDING_WARNING, "version", "install one version, and restart the daemon",
			    "the daemon is version %s, this pcapctl is " PCAPDAEMON_VERSION, version);
	if (json_is_true(json_object_get(status, "name_taken")))
		finding_add(findings, FINDING_FAULT, "name", "give each daemon a general.node of its own",
			    "another daemon is called %s, too", json_text(status, "node"));
	if (json_array_size(json_object_get(status, "destinations")) == 0)
		finding_add(findings, FINDING_WARNING, "destinations",
			    "switch on cloudshark.upload, general.writelocal, redis.upload or memory.bytes",
			    "the daemon has no destination: captures are counted and dropped");
	check_failing(findings, json_object_get(status, "failing"));
	check_redis(findings, json_object_get(status, "redis"));
	check_load(findings, json_object_get(status, "load"));
	json_array_foreach(interfaces, i, interface)
	{
		check_recorder(findings, interfaces, interface, config);
	}
}

/* A daemon that hangs is a finding, too. */
static int ask(struct local_client *client, const char *path, json_t **answer, struct error *err)
{
	const struct local_call_request request = {.method = "GET", .path = path};
	const uint64_t deadline_ns = clock_boottime_ns() + ANSWER_TIMEOUT_NS;
	cleanup(cleanup_local_call) struct local_call *call = local_call_start(client, &request, err);
	const json_t *json;
	int r = call ? 0 : -ENOMEM;

	while (r == 0 && !local_call_finished(call)) {
		if (clock_boottime_ns() > deadline_ns)
			return error_set(err, -ETIMEDOUT,
					 "the daemon does not answer; if it hangs, keep a core (gcore) and restart it");
		r = local_client_run(client, RUN_MS, -1, err);
	}
	if (r < 0)
		return r;
	const int status = local_call_result(call, &json, err);
	if (status < 0)
		return status;
	if (status >= 300) {
		local_call_refusal(call, status, err);
		return -EREMOTEIO;
	}
	*answer = json_incref((json_t *)(uintptr_t)json);
	return *answer ? 0 : error_set(err, -EPROTO, "the daemon's answer is not JSON");
}

json_t *doctor_daemon(struct findings *findings, const char *socket, const struct config *config)
{
	const struct command_target target = {.socket = (char *)(uintptr_t)socket};
	struct error err;
	cleanup(cleanup_local_client) struct local_client *client = local_client_new(&target, &err);
	cleanup(cleanup_json) json_t *status = NULL;
	cleanup(cleanup_json) json_t *interfaces = NULL;

	if (!client || ask(client, "/v1/status", &status, &err) < 0 ||
	    ask(client, "/v1/interfaces", &interfaces, &err) < 0) {
		finding_add_error(findings, FINDING_FAULT, "daemon", &err);
		return NULL;
	}
	finding_add(findings, FINDING_OK, "daemon", "", "pcapdaemon %s answers at %s as node %s",
		    json_text(status, "version"), socket, json_text(status, "node"));
	json_t *list = json_incref(json_object_get(interfaces, "interfaces"));
	doctor_status(findings, status, list, config);
	return list;
}
