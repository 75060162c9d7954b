/*
 * A link is one state machine with one timer, whose meaning depends on the state:
 *
 *   waiting ──retry──> resolving ──> connecting ──> logging in ──PONG──> up
 *      ^                                │  next address ^ │               │
 *      └──────────── no address left, refused, silent ────┴───────────────┘
 *
 * Logging in is the TLS handshake, AUTH, PING and CLIENT SETNAME (best effort) in one go: only the answer to PING shows
 * that the server is there, lets us in, and is not still loading its data. While up, a PING that nothing follows within
 * its deadline means that the server hangs, even though its kernel still answers the keep-alive.
 *
 * hiredis frees its contexts by itself, and late when it is inside a callback. So the link never reaches one except
 * through `redis`, and a context never reaches the link except through its guard, which forgets the link as soon as the
 * link lets go. Handlers may free the link: calling one is the last thing a function does.
 */
#include "redis/redis_link.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <inttypes.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own_traffic.h"
#include "redis/redis_connect.h"
#include "redis/redis_guard.h"
#include "redis/redis_options.h"
#include "redis/redis_tls.h"
#include "redis/resolve.h"

#define BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BACKOFF_MAX_NS (30 * NS_PER_S)
#define STABLE_NS (5 * NS_PER_S)	  /* up for so long: the next failure is a new one */
#define SHORT_LIVES_MAX 3		  /* ups in a row that did not last: from now on only a lasting one is logged */
#define CONNECT_TIMEOUT_NS (5 * NS_PER_S) /* for TCP, and again for logging in */

enum link_state { LINK_WAITING, LINK_RESOLVING, LINK_CONNECTING, LINK_LOGGING_IN, LINK_UP };
enum link_announced { ANNOUNCED_NOTHING, ANNOUNCED_UP, ANNOUNCED_DOWN };

struct redis_link {
	struct event_base *loop;
	struct redis_link_handler handler;
	struct redis_options options; /* its strings are ours */
	char *role;

	enum link_state state;
	struct event *timer;
	struct resolve *resolve;
	struct resolve_answer addresses;
	size_t next_address;
	redisAsyncContext *redis; /* from connecting on */
	SSL_CTX *tls;

	unsigned attempts; /* failed since it was last up for long */
	unsigned short_lives;
	uint64_t up_since_ns;	/* boot time */
	bool pinging;		/* a PING is unanswered */
	bool ping_denied;	/* by the user's ACL: only the keep-alive is left */
	uint64_t ping_received; /* bytes received when the PING was sent */

	enum link_state failure_state; /* how far this attempt got, and why not further */
	struct error failure;
	enum link_announced announced;
	bool was_up;
	struct error announced_reason;
};

static void link_fail(struct redis_link *link, const char *reason);

/* --- saying it --- */

static const char *link_address(const struct redis_link *link)
{
	return link->next_address > 0 ? link->addresses.address[link->next_address - 1] : NULL;
}

static void announce_up(struct redis_link *link)
{
	if (link->announced == ANNOUNCED_UP)
		return;
	link->announced = ANNOUNCED_UP;
	log_notice("redis-up", log_str("role", link->role), log_str("host", link->options.host),
		   log_int("port", link->options.port), log_str("address", link_address(link)),
		   log_bool("tls", link->options.tls));
}

static void announce_down(struct redis_link *link, const char *reason, uint64_t retry_ns)
{
	bool quiet = link->options.quiet && !link->was_up;

	if (link->announced == ANNOUNCED_DOWN && (quiet || strcmp(link->announced_reason.text, reason) == 0))
		return;
	link->announced = ANNOUNCED_DOWN;
	error_set(&link->announced_reason, 0, "%s", reason);
	log_at(quiet ? LOG_INFO : LOG_WARNING, "redis-down", log_str("role", link->role),
	       log_str("host", link->options.host), log_int("port", link->options.port), log_str("reason", reason),
	       log_uint("retry_ms", retry_ns / NS_PER_MS));
}

/* --- time --- */

static void set_timer(struct redis_link *link, uint64_t ns)
{
	const struct timeval after = {.tv_sec = (time_t)(ns / NS_PER_S),
				      .tv_usec = (suseconds_t)(ns % NS_PER_S / 1000)};

	event_add(link->timer, &after);
}

/* Full jitter: anything between nothing and a bound that doubles. Many daemons lose the same Redis at the same time. */
static uint64_t backoff_ns(unsigned attempts)
{
	uint64_t bound = attempts < 16 ? BACKOFF_FIRST_NS << attempts : BACKOFF_MAX_NS;
	uint64_t random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	return random % (bound < BACKOFF_MAX_NS ? bound : BACKOFF_MAX_NS);
}

/* --- letting go --- */

static void let_go(struct redis_link *link)
{
	redisAsyncContext *redis = take(link->redis);

	event_del(link->timer);
	if (!redis)
		return;
	redis_guard_release(redis);
	redisAsyncFree(redis); /* at once, or when the hiredis callback that we are in returns */
}

static void go_down(struct redis_link *link, const char *reason)
{
	bool was_up = link->state == LINK_UP;
	uint64_t retry_ns;

	let_go(link);
	if (was_up && clock_boottime_ns() - link->up_since_ns >= STABLE_NS) {
		link->attempts = 0;
		link->short_lives = 0;
	} else if (was_up) {
		link->short_lives++;
	}
	/* The next attempt reads the certificates anew: a new one may be what is missing. */
	if (link->tls && !was_up) {
		SSL_CTX_free(link->tls);
		link->tls = NULL;
	}
	retry_ns = backoff_ns(link->attempts++);
	link->state = LINK_WAITING;
	set_timer(link, retry_ns);
	announce_down(link, reason, retry_ns);
	if (was_up)
		link->handler.down(link->handler.ctx);
}

/* --- logging in --- */

static void go_up(struct redis_link *link)
{
	link->state = LINK_UP;
	link->was_up = true;
	link->up_since_ns = clock_boottime_ns();
	link->pinging = false;
	set_timer(link, link->options.ping_interval_ns);
	if (link->short_lives < SHORT_LIVES_MAX)
		announce_up(link);
	link->handler.up(link->handler.ctx, link->redis);
}

/* A server or proxy that does not know AUTH repeats its arguments in the error. */
static void describe_auth_error(const struct redis_link *link, const char *text, struct error *reason)
{
	const char *auth = link->options.auth;
	const char *arguments = strstr(text, ", with args");
	int size = (int)(arguments ? (size_t)(arguments - text) : strlen(text));

	error_set(reason, 0, "%.*s", size, text);
	if (auth && *auth && strstr(reason->text, auth))
		error_set(reason, 0, "AUTH is refused (the server's text repeats the password and is withheld)");
}

static void on_auth(redisAsyncContext *redis, void *data, void *privdata)
{
	struct redis_link *link = redis_guard_owner(redis);
	const redisReply *reply = data;
	struct error reason;

	(void)privdata;
	if (!link || !reply || reply->type != REDIS_REPLY_ERROR)
		return;
	describe_auth_error(link, reply->str, &reason);
	link_fail(link, reason.text);
}

static void on_ping(redisAsyncContext *redis, void *data, void *privdata)
{
	struct redis_link *link = redis_guard_owner(redis);
	const redisReply *reply = data;

	(void)privdata;
	if (!link || !reply)
		return;
	link->pinging = false;
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0)
		link->ping_denied = true;
	else if (reply->type == REDIS_REPLY_ERROR)
		return link_fail(link, reply->str);
	if (link->state == LINK_LOGGING_IN)
		return go_up(link);
	set_timer(link, link->options.ping_interval_ns);
}

static int send_auth(struct redis_link *link)
{
	const char *username = link->options.username;
	const char *auth = link->options.auth ? link->options.auth : "";

	if (username && *username)
		return redisAsyncCommand(link->redis, on_auth, NULL, "AUTH %s %s", username, auth);
	if (*auth)
		return redisAsyncCommand(link->redis, on_auth, NULL, "AUTH %s", auth);
	return REDIS_OK;
}

static void log_in(struct redis_link *link)
{
	link->ping_denied = false;
	set_timer(link, CONNECT_TIMEOUT_NS);
	/* PING before CLIENT: "max number of clients reached" answers whatever comes first, and only PING's is read. */
	if (send_auth(link) != REDIS_OK || redisAsyncCommand(link->redis, on_ping, NULL, "PING") != REDIS_OK ||
	    redisAsyncCommand(link->redis, NULL, NULL, "CLIENT SETNAME pcapdaemon-%s", link->role) != REDIS_OK)
		link_fail(link, "out of memory");
}

static int start_tls(struct redis_link *link, struct error *err)
{
	redisContext *context = &link->redis->c;
	SSL *session = redis_tls_session(link->tls, link->options.host, err);

	if (!session)
		return -ENOMEM;
	if (redisInitiateSSL(context, session) == REDIS_OK) {
		redis_guard_watch(link->redis, session);
		return 0;
	}
	if (!redis_tls_failure(session, err))
		error_set(err, -EPROTO, "TLS: %s", context->errstr);
	SSL_free(session);
	return -EPROTO;
}

/* --- connecting --- */

static void on_connect(redisAsyncContext *redis, int status)
{
	struct redis_link *link = redis_guard_owner(redis);
	struct error reason;

	if (!link)
		return;
	if (status != REDIS_OK) { /* hiredis frees the context after this */
		redis_guard_reason(redis, &reason);
		redis_guard_release(redis);
		link->redis = NULL;
		return link_fail(link, reason.text);
	}
	own_traffic_add(redis->c.fd);
	link->state = LINK_LOGGING_IN;
	if (!link->options.tls)
		redis_guard_watch(redis, NULL);
	else if (start_tls(link, &reason) < 0)
		return link_fail(link, reason.text);
	log_in(link);
}

static void on_disconnect(const redisAsyncContext *redis, int status)
{
	struct redis_link *link = redis_guard_owner(redis);
	struct error reason;

	(void)status;
	if (!link)
		return;
	redis_guard_reason(redis, &reason);
	redis_guard_release(redis);
	link->redis = NULL;
	link_fail(link, reason.text);
}

static int connect_address(struct redis_link *link, const char *address, struct error *err)
{
	redisAsyncContext *redis = redis_connect(link->loop, address, link->options.port, link, err);

	if (!redis)
		return -ECONNREFUSED;
	redisAsyncSetConnectCallbackNC(redis, on_connect);
	redisAsyncSetDisconnectCallback(redis, on_disconnect);
	link->redis = redis;
	link->state = LINK_CONNECTING;
	set_timer(link, CONNECT_TIMEOUT_NS);
	return 0;
}

/* Of several addresses' failures the one that got furthest is the one to tell; among equals the first. */
static void note_failure(struct redis_link *link, const char *reason)
{
	if (link->failure.text[0] && link->failure_state >= link->state)
		return;
	link->failure_state = link->state;
	error_set(&link->failure, 0, "%s", reason);
}

static void connect_next(struct redis_link *link)
{
	struct error err;

	link->state = LINK_CONNECTING;
	while (link->next_address < link->addresses.count) {
		if (connect_address(link, link->addresses.address[link->next_address++], &err) == 0)
			return;
		note_failure(link, err.text);
	}
	err = link->failure;
	go_down(link, err.text);
}

/* The one way out of an attempt or a connection that failed. The link may be gone afterwards. */
static void link_fail(struct redis_link *link, const char *reason)
{
	struct error copy; /* `reason` may belong to a connection that goes now */

	error_set(&copy, 0, "%s", reason);
	if (link->state != LINK_CONNECTING && link->state != LINK_LOGGING_IN)
		return go_down(link, copy.text);
	note_failure(link, copy.text);
	let_go(link);
	connect_next(link);
}

static void on_resolved(void *ctx, const struct resolve_answer *answer)
{
	struct redis_link *link = ctx;
	struct error reason;

	link->resolve = NULL;
	if (answer->error) {
		error_set(&reason, 0, "%s: %s", link->options.host, answer->error);
		return go_down(link, reason.text);
	}
	link->addresses = *answer;
	connect_next(link);
}

static void attempt(struct redis_link *link)
{
	struct error err;

	link->next_address = 0;
	link->failure.text[0] = '\0';
	if (link->options.tls && !link->tls) {
		link->tls = redis_tls_context(&link->options, &err);
		if (!link->tls)
			return go_down(link, err.text);
	}
	if (resolve_numeric(link->options.host, &link->addresses))
		return connect_next(link);
	link->state = LINK_RESOLVING;
	link->resolve = resolve_start(link->loop, link->options.host, on_resolved, link);
	if (!link->resolve)
		go_down(link, "no thread to resolve the host name");
}

/* --- staying up --- */

static void watch(struct redis_link *link)
{
	uint64_t received = redis_guard_received(link->redis);
	struct error reason;

	if (clock_boottime_ns() - link->up_since_ns >= STABLE_NS) {
		link->attempts = 0;
		link->short_lives = 0;
		announce_up(link);
	}
	if (link->pinging && received == link->ping_received) {
		error_set(&reason, 0, "no answer to PING within %" PRIu64 " ms",
			  link->options.ping_timeout_ns / NS_PER_MS);
		return link_fail(link, reason.text);
	}
	link->ping_received = received;
	if (link->ping_denied)
		return set_timer(link, link->options.ping_interval_ns);
	/* An answer that is still due, while something else comes in, is no hang: give it another deadline. */
	if (!link->pinging && redisAsyncCommand(link->redis, on_ping, NULL, "PING") != REDIS_OK)
		return link_fail(link, "out of memory");
	link->pinging = true;
	set_timer(link, link->options.ping_timeout_ns);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct redis_link *link = data;

	(void)fd;
	(void)what;
	switch (link->state) {
	case LINK_WAITING:
		return attempt(link);
	case LINK_RESOLVING:
		return;
	case LINK_CONNECTING:
		return link_fail(link, "no connection within 5 s");
	case LINK_LOGGING_IN:
		return link_fail(link, link->options.tls && !redis_guard_secured(link->redis)
					       ? "no TLS handshake within 5 s: does the server expect TLS on this port?"
					       : "no answer within 5 s");
	case LINK_UP:
		return watch(link);
	}
}

/* --- the interface --- */

struct redis_link *redis_link_new(struct event_base *loop, const char *role, const struct redis_options *options,
				  struct redis_link_handler handler)
{
	cleanup(cleanup_redis_link) struct redis_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->loop = loop;
	link->handler = handler;
	link->role = strdup(role);
	link->timer = evtimer_new(loop, on_timer, link);
	if (redis_options_copy(&link->options, options) < 0 || !link->role || !link->timer)
		return NULL;
	set_timer(link, 0);
	return take(link);
}

void redis_link_free(struct redis_link *link)
{
	if (!link)
		return;
	if (link->timer)
		let_go(link);
	resolve_cancel(link->resolve);
	if (link->timer)
		event_free(link->timer);
	SSL_CTX_free(link->tls);
	redis_options_free(&link->options);
	free(link->role);
	free(link);
}

void redis_link_restart(struct redis_link *link, const char *reason)
{
	if (link->state == LINK_UP)
		link_fail(link, reason);
}

redisAsyncContext *redis_link_context(struct redis_link *link)
{
	return link->state == LINK_UP ? link->redis : NULL;
}

bool redis_link_gone(const redisAsyncContext *redis)
{
	return !redis_guard_owner(redis);
}

int redis_link_subscribe(struct redis_link *link, const char *channel, redisCallbackFn *reply, void *ctx)
{
	int code;

	if (link->state != LINK_UP)
		return -ENOTCONN;
	code = redis_guard_expect(link->redis, channel);
	if (code < 0)
		return code;
	return redisAsyncCommand(link->redis, reply, ctx, "SUBSCRIBE %s", channel) == REDIS_OK ? 0 : -ENOMEM;
}
