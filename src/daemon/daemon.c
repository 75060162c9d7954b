/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One struct owns all modules; the last one started is the first one stopped. Stopping has two steps: on SIGTERM,
 * triggers and captures end, and captures deliver what they have; once all is delivered, or the grace time is over, the
 * loop ends. A second signal ends the grace time.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/link_table.h"
#include "base/log.h"
#include "base/own_traffic.h"
#include "base/quantity.h"
#include "base/slab_pool.h"
#include "capture/engine.h"
#include "config/config.h"
#include "daemon/alert_setup.h"
#include "daemon/api_setup.h"
#include "daemon/memory_check.h"
#include "daemon/redis_setup.h"
#include "daemon/secrets.h"
#include "daemon/signals.h"
#include "daemon/sink_setup.h"
#include "daemon/webhook_setup.h"
#include "event/event.h"
#include "event/event_bus.h"
#include "event/event_gate.h"
#include "event/event_log.h"
#include "job/jobs.h"
#include "job/spool.h"
#include "sink/delivery.h"
#include "status/node_status.h"

#define DRAIN_CHECK_MS 20 /* between checks for what Redis and the destinations have not finished, while stopping */
#define SLABS_IDLE_NS (30 * NS_PER_S)
#define SPOOLING_S 10	 /* after the grace time, for files that are being written to the spool */
#define FINAL_EVENTS_S 2 /* after the grace time, for events about deliveries that were given up */

struct daemon {
	const struct config *config;
	struct event_base *loop;
	struct signals *signals;
	struct event *grace, *drain, *end;
	struct secrets secrets;
	struct event_bus *bus;
	struct event_gate *gate;
	struct slab_pool *slabs;
	struct engine *engine;
	struct sink_setup sinks;
	struct spool *spool;	   /* NULL: none */
	uint64_t spooling_ends_ns; /* boot time, while stopping */
	struct jobs *jobs;
	struct alert_setup alerts;
	struct node_status *status;
	struct api_setup api;
	struct redis_setup redis;
	struct webhook_setup webhooks;
	bool stopping;
};

/* --- stopping --- */

/* Final events must reach Redis and the webhooks. */
static size_t events_waiting(const struct daemon *daemon)
{
	return redis_setup_pending(&daemon->redis) + webhooks_waiting(&daemon->webhooks.webhooks);
}

static void on_drain(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *daemon = ctx;

	(void)fd;
	(void)what;
	if (events_waiting(daemon) == 0 && !deliveries_are_busy(daemon->sinks.deliveries)) {
		event_base_loopbreak(daemon->loop);
		return;
	}
	const struct timeval interval = {.tv_usec = DRAIN_CHECK_MS * 1000};
	event_add(daemon->drain, &interval);
}

static void on_jobs_idle(void *ctx)
{
	on_drain(-1, 0, ctx);
}

/* Files that are not in the spool by now are given up, and have their events, too. */
static void end_loop(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *daemon = ctx;
	const struct timeval final_events = {.tv_sec = FINAL_EVENTS_S};
	const uint64_t now_ns = clock_boottime_ns();
	const bool late = now_ns >= daemon->spooling_ends_ns;

	(void)fd;
	(void)what;
	if (!spool_is_writing(daemon->spool) ||
	    now_ns >= daemon->spooling_ends_ns + 2 * FINAL_EVENTS_S * NS_PER_S) { /* the disk hangs */
		event_base_loopbreak(daemon->loop);
		return;
	}
	if (late)
		spool_abandon(daemon->spool);
	event_add(daemon->end, &final_events);
}

/* Gives up all remaining deliveries. Their events have to go out, so the loop runs a little longer. */
static void on_grace_over(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *daemon = ctx;
	const struct timeval final_events = {.tv_sec = FINAL_EVENTS_S};
	const struct jobs_counts counts = jobs_counts(daemon->jobs);

	(void)fd;
	(void)what;
	log_warning("grace-over", log_uint("captures", counts.running + counts.delivering),
		    log_uint("events", events_waiting(daemon)));
	jobs_abandon(daemon->jobs);
	event_base_update_cache_time(daemon->loop); /* abandoning may have waited for a disk */
	daemon->spooling_ends_ns = clock_boottime_ns() + SPOOLING_S * NS_PER_S;
	event_add(daemon->end, &final_events);
}

static void on_stop_signal(void *ctx, const char *name, bool insisting)
{
	struct daemon *daemon = ctx;

	if (daemon->stopping && !insisting)
		return;
	if (daemon->stopping && evtimer_pending(daemon->end, NULL)) {
		event_base_loopbreak(daemon->loop);
		return;
	}
	if (daemon->stopping) {
		event_del(daemon->grace);
		on_grace_over(-1, 0, daemon);
		return;
	}
	const struct jobs_counts counts = jobs_counts(daemon->jobs);
	daemon->stopping = true;
	log_notice("stopping", log_str("signal", name), log_uint("captures", counts.running + counts.delivering));
	redis_setup_stop(&daemon->redis);
	alert_setup_stop(&daemon->alerts);
	event_gate_report(daemon->gate); /* no message comes any more */
	api_setup_stop(&daemon->api);
	spool_stop(daemon->spool);
	const struct timeval grace = {.tv_sec = daemon->spool ? DAEMON_GRACE_SPOOL_S : DAEMON_GRACE_S};
	event_add(daemon->grace, &grace);
	jobs_shut_down(daemon->jobs, on_jobs_idle, daemon);
}

/* --- status --- */

/* SIGUSR1: a line for every open ring, and one for the daemon. */
static void log_status(void *ctx)
{
	struct daemon *daemon = ctx;
	const size_t room = engine_interfaces(daemon->engine, NULL, 0);
	cleanup(cleanup_free) struct engine_interface *interfaces = calloc(room + 1, sizeof(*interfaces));
	const size_t count = interfaces ? engine_interfaces(daemon->engine, interfaces, room) : 0;
	const struct jobs_counts jobs = jobs_counts(daemon->jobs);

	for (size_t i = 0; i < count && i < room; i++) {
		const struct engine_interface *interface = &interfaces[i];

		log_notice("status-interface", log_str("interface", interface->name),
			   log_bool("recorder", interface->recorder), log_bool("gone", interface->gone),
			   log_uint("captures", interface->consumers), log_uint("packets", interface->packets),
			   log_uint("dropped", interface->dropped),
			   log_num("reach_s", (double)interface->reach_ns / NS_PER_S),
			   log_uint("held_bytes", interface->held_bytes), log_uint("ring_bytes", interface->ring_bytes),
			   log_uint("asked_bytes", interface->asked_bytes));
	}
	log_notice("status", log_uint("captures", jobs.running), log_uint("delivering", jobs.delivering),
		   log_uint("elsewhere", jobs.elsewhere), log_uint("memory_bytes", engine_memory_used(daemon->engine)));
}

/* --- starting --- */

static int start_loop(struct daemon *daemon)
{
	daemon->loop = event_base_new();
	if (!daemon->loop)
		return -ENOMEM;
	daemon->signals = signals_new(daemon->loop, &(struct signal_handler){on_stop_signal, log_status, daemon});
	daemon->grace = evtimer_new(daemon->loop, on_grace_over, daemon);
	daemon->drain = evtimer_new(daemon->loop, on_drain, daemon);
	daemon->end = evtimer_new(daemon->loop, end_loop, daemon);
	return daemon->signals && daemon->grace && daemon->drain && daemon->end ? 0 : -ENOMEM;
}

static int start_slabs(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;

	daemon->slabs = slab_pool_new(&(struct slab_pool_options){
		.warm_bytes = config->limits.warm_memory_bytes,
		.use_bytes = config->limits.memory_bytes + config->memory.bytes,
		.idle_ns = SLABS_IDLE_NS,
	});
	return daemon->slabs ? 0 : error_set(err, -errno, "limits.warm_memory: %s", strerror(errno));
}

/* The engine is there before the first file. */
static bool charge_memory(void *ctx, size_t bytes)
{
	const struct daemon *daemon = ctx;

	return engine_memory_charge(daemon->engine, bytes);
}

static void return_memory(void *ctx, size_t bytes)
{
	const struct daemon *daemon = ctx;

	engine_memory_return(daemon->engine, bytes);
}

static int start_sinks(struct daemon *daemon)
{
	return sink_setup_init(&daemon->sinks, &(struct sink_setup_options){
						       .loop = daemon->loop,
						       .config = daemon->config,
						       .secrets = &daemon->secrets,
						       .redis = &daemon->redis.options,
						       .slabs = daemon->slabs,
						       .account = {charge_memory, return_memory, daemon},
					       });
}

static int start_events(struct daemon *daemon)
{
	daemon->bus = event_bus_new();
	daemon->gate = daemon->bus ? event_gate_new(daemon->loop, daemon->bus, daemon->config->general.node) : NULL;
	if (!daemon->gate)
		return -ENOMEM;
	event_bus_set_gate(daemon->bus, daemon->gate);
	const int r = event_bus_subscribe(daemon->bus, event_log_subscriber, NULL);

	return r == 0 ? webhook_setup_init(&daemon->webhooks, daemon->loop, daemon->bus, daemon->config) : r;
}

static struct node_redis read_redis_status(const void *ctx)
{
	return redis_setup_status(ctx);
}

static int start_spool(struct daemon *daemon, struct error *err)
{
	const struct spool_options options = {.loop = daemon->loop,
					      .deliveries = daemon->sinks.deliveries,
					      .bus = daemon->bus,
					      .path = daemon->config->spool.directory,
					      .max_bytes = daemon->config->spool.max_bytes,
					      .max_age_ns = daemon->config->spool.max_age_ns};

	return *options.path ? spool_new(&options, &daemon->spool, err) : 0;
}

static int start_capturing(struct daemon *daemon, struct error *err)
{
	const struct engine_options options = {.memory_bytes = daemon->config->limits.memory_bytes,
					       .ring_memory_bytes = daemon->config->limits.ring_memory_bytes,
					       .ring_reserve_bytes = daemon->config->limits.ring_reserve_bytes,
					       .slabs = daemon->slabs};
	struct error no_permission, warning;
	int r = link_table_start();

	if (r < 0)
		return error_set(err, r, "listing the network interfaces: %s", strerror(-r));
	if (engine_may_capture(&no_permission) < 0)
		log_error("cannot-capture", log_str("error", no_permission.text));
	if (memory_check_host(daemon->config, &warning))
		log_warning("memory-exceeds-host", log_str("warning", warning.text));
	daemon->engine = engine_new(daemon->loop, &options, err);
	if (!daemon->engine)
		return -EAGAIN;
	daemon->jobs = jobs_new(
		&(struct jobs_options){
			.loop = daemon->loop,
			.config = daemon->config,
			.engine = daemon->engine,
			.deliveries = daemon->sinks.deliveries,
			.bus = daemon->bus,
			.reply_store = daemon->redis.reply_store,
			.spool = daemon->spool,
		},
		err);
	if (!daemon->jobs)
		return -ENOMEM;
	r = alert_setup_init(&daemon->alerts, daemon->loop, daemon->config, daemon->jobs, daemon->bus, err);
	if (r < 0)
		return r;
	daemon->status = node_status_new(&(struct node_status_options){
		.loop = daemon->loop,
		.config = daemon->config,
		.engine = daemon->engine,
		.jobs = daemon->jobs,
		.deliveries = daemon->sinks.deliveries,
		.slabs = daemon->slabs,
		.memory = daemon->sinks.memory,
		.redis = read_redis_status,
		.redis_ctx = &daemon->redis,
		.spool = daemon->spool,
	});
	return daemon->status ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int start_recorders(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	const bool headers = strcmp(config->history.snaplength, "headers") == 0;
	uint64_t snaplen = 0;

	if (!headers && quantity_parse_bytes(config->history.snaplength, &snaplen) < 0)
		return error_set(err, -EINVAL, "history.snaplength: \"%s\" is not a number",
				 config->history.snaplength);
	for (size_t i = 0; i < config->history.interfaces.count; i++) {
		const char *interface = config->history.interfaces.items[i];
		const struct engine_recorder recorder = {
			.interface = interface,
			.promiscuous = config_wants_promiscuous(config, interface),
			.memory_bytes = config->history.memory_bytes,
			.claims = (unsigned)(config->history.interfaces.count - i),
			.max_age_ns = config->history.keep_ns,
			.bpf = config->history.filter,
			.snaplen = (uint32_t)snaplen,
			.headers = headers,
			.exclude_own = config->history.exclude_own,
		};
		const int r = engine_add_recorder(daemon->engine, &recorder, err);

		if (r < 0) {
			error_prefix(err, "history");
			return r;
		}
	}
	return 0;
}

static bool is_ready(const void *ctx)
{
	const struct daemon *daemon = ctx;
	const struct node_redis redis = redis_setup_status(&daemon->redis);

	return !daemon->stopping && (!redis.wanted || redis.requests);
}

static int start_api(struct daemon *daemon, struct error *err)
{
	const struct api_options options = {
		.loop = daemon->loop,
		.config = daemon->config,
		.jobs = daemon->jobs,
		.bus = daemon->bus,
		.status = daemon->status,
		.gate = daemon->gate,
		.webhooks = &daemon->webhooks.webhooks,
		.deliveries = daemon->sinks.deliveries,
		.memory = daemon->sinks.memory,
		.token = daemon->secrets.api,
		.ready = is_ready,
		.ready_ctx = daemon,
		.alerts = daemon->alerts.runner,
	};

	return api_setup_init(&daemon->api, &options, err);
}

static void own_traffic_changed(void *ctx)
{
	engine_own_traffic_changed(ctx);
}

static int start(struct daemon *daemon, struct error *err)
{
	int r = start_loop(daemon);

	if (r == 0)
		r = secrets_init(&daemon->secrets, daemon->config);
	if (r == 0)
		r = start_events(daemon);
	if (r == 0)
		r = redis_setup_init(&daemon->redis, daemon->loop, daemon->config, &daemon->secrets);
	if (r < 0)
		return error_set(err, r, "starting: %s", strerror(-r));
	r = start_slabs(daemon, err);
	if (r < 0)
		return r;
	r = start_sinks(daemon);
	if (r < 0)
		return error_set(err, r, "starting: %s", strerror(-r));
	r = start_spool(daemon, err);
	if (r < 0)
		return r;
	r = start_capturing(daemon, err);
	if (r < 0)
		return r;
	r = start_recorders(daemon, err);
	if (r < 0)
		return r;
	if (daemon->config->history.exclude_own)
		own_traffic_watch(own_traffic_changed, daemon->engine);
	r = start_api(daemon, err);
	if (r < 0)
		return r;
	r = redis_setup_start(&daemon->redis, daemon->jobs, daemon->bus, daemon->status);
	if (r < 0)
		return error_set(err, r, "starting Redis: %s", strerror(-r));
	return alert_setup_start(&daemon->alerts, daemon->loop, daemon->config, &daemon->redis.options, err);
}

static void deinit(struct daemon *daemon)
{
	own_traffic_watch(NULL, NULL);
	api_setup_deinit(&daemon->api);
	redis_setup_disconnect(&daemon->redis);
	node_status_free(daemon->status);
	alert_setup_deinit(&daemon->alerts);
	jobs_free(daemon->jobs);
	if (daemon->spool)
		spool_free(daemon->spool);
	sink_setup_deinit(&daemon->sinks);
	engine_free(daemon->engine);
	link_table_stop();
	redis_setup_deinit(&daemon->redis);
	webhook_setup_deinit(&daemon->webhooks);
	event_bus_free(daemon->bus);
	secrets_deinit(&daemon->secrets);
	event_gate_free(daemon->gate);
	signals_free(daemon->signals);
	struct event *events[] = {daemon->grace, daemon->drain, daemon->end};
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (daemon->loop)
		event_base_free(daemon->loop);
	slab_pool_free(daemon->slabs);
}

/* Secrets and packets must not end up in a core file. LeakSanitizer needs a dumpable process, though. */
static void forbid_core_dumps(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* Every ring is a file. Nothing here uses select(2), for which the soft limit is low. */
static void allow_all_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* The level was checked when the configuration was loaded. */
static int set_log_level(const char *text, struct error *err)
{
	struct log_level level;
	const int r = log_level_parse(text, &level, err);

	if (r == 0)
		log_set_level(&level);
	return r;
}

int daemon_run(const struct config *config, struct error *err)
{
	struct daemon daemon = {.config = config};
	const int priority = (int)config->syslog.priority;

	log_open_syslog(priority & LOG_FACMASK, config->syslog.tag);
	memory_raise_oom_score(config->limits.oom_score_adj);
	forbid_core_dumps();
	allow_all_files();
	signal(SIGPIPE, SIG_IGN);
	int r = set_log_level(config->log.level, err);
	if (r == 0 && log_start() < 0)
		r = error_set(err, -EAGAIN, "cannot start the log's threads");
	if (r == 0)
		r = start(&daemon, err);
	if (r == 0) {
		log_notice("ready", log_str("version", PCAPDAEMON_VERSION), log_str("node", config->general.node));
		event_base_dispatch(daemon.loop);
		signals_block(); /* the loop no longer handles them, and one must not interrupt the clean-up */
		log_notice("stopped");
		api_setup_deinit(&daemon.api);
		redis_setup_disconnect(&daemon.redis);
		/* A thread that waits for a name server cannot be stopped, and nothing left to do is worth waiting. */
		if (!jobs_idle(daemon.jobs)) {
			log_stop();
			_exit(EXIT_FAILURE);
		}
	}
	deinit(&daemon);
	log_stop();
	return r;
}
