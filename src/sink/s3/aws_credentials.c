/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A search asks one source after the other (aws_sources.c). There is one at a time; requests that need a key wait for
 * it. A key that expires is renewed in its last minutes, while it still signs; one from a file is read again every
 * minute. A source that is there but fails ends the search: another identity must not silently take its place.
 */
#include "sink/s3/aws_credentials.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "sink/report_text.h"
#include "sink/s3/aws_key.h"
#include "sink/s3/aws_sources.h"

#define RENEW_EARLY_NS (300 * NS_PER_S)
#define LAST_USE_NS (5 * NS_PER_S)	/* a key is used until this long before it expires */
#define SEARCH_PAUSE_NS (30 * NS_PER_S) /* between attempts to renew a key that still signs */
#define FILE_AGE_NS (60 * NS_PER_S)
#define LOG_BURST 2

struct aws_credentials {
	struct secret *secret, *token;
	char *id; /* "": not configured */
	unsigned secret_generation, token_generation;
	struct aws_sources *sources;
	struct event *start, *wake;
	bool searching;
	char error[sizeof(((struct error *)0)->text)]; /* of the last search; "": it found a key */
	struct aws_key key, previous;		       /* previous: to be scrubbed from texts */
	const char *source;			       /* of the key; NULL: none yet */
	uint64_t found_ns, searched_ns;		       /* boot time */
	uint64_t life_ns;			       /* when it was found; 0: for ever */
	unsigned generation;
	bool rejected;
	struct log_rate log_rate;
	size_t waiter_count;
	TAILQ_HEAD(, aws_waiter) waiters;
};

static void set_key(struct aws_credentials *credentials, struct aws_key *key)
{
	aws_key_deinit(&credentials->previous);
	credentials->previous = credentials->key;
	credentials->key = *key;
	*key = (struct aws_key){0};
	credentials->generation++;
	credentials->rejected = false;
}

/* --- the configured key --- */

static unsigned generation_of(const struct secret *secret)
{
	return secret ? secret_generation(secret) : 0;
}

/* The key of the configuration, made anew when a file has changed. NULL: it is bad, or ENOMEM. */
static const struct aws_key *configured_key(struct aws_credentials *credentials)
{
	const char *secret = credentials->secret ? secret_get(credentials->secret) : "";
	const char *token = credentials->token ? secret_get(credentials->token) : "";
	struct aws_key key;
	struct error err = {"out of memory"};

	if (credentials->key.id && credentials->secret_generation == generation_of(credentials->secret) &&
	    credentials->token_generation == generation_of(credentials->token))
		return &credentials->key;
	if (aws_key_init(&key, credentials->id, secret, token, &err) < 0) {
		snprintf(credentials->error, sizeof(credentials->error), "configuration: %.900s", err.text);
		return NULL;
	}
	credentials->secret_generation = generation_of(credentials->secret);
	credentials->token_generation = generation_of(credentials->token);
	set_key(credentials, &key);
	return &credentials->key;
}

/* --- the search --- */

static void call_waiters(struct aws_credentials *credentials)
{
	struct aws_waiter *waiter;

	/* One that waits again waits for another turn. */
	for (size_t count = credentials->waiter_count; count > 0 && (waiter = TAILQ_FIRST(&credentials->waiters));
	     count--) {
		aws_credentials_forget(credentials, waiter);
		waiter->done(waiter->ctx, *credentials->error ? credentials->error : NULL);
	}
}

static void on_wake(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	call_waiters(ctx);
}

static void on_found(void *ctx, const char *source, struct aws_key *key, const char *error)
{
	struct aws_credentials *credentials = ctx;
	const uint64_t now_ns = clock_realtime_ns();
	char until[CLOCK_TEXT_SIZE];
	uint64_t suppressed = 0;

	credentials->searching = false;
	credentials->searched_ns = clock_boottime_ns();
	report_text_copy(credentials->error, sizeof(credentials->error), error ? error : "");
	if (error) {
		if (log_rate_allow(&credentials->log_rate, &suppressed))
			log_warning("s3-credentials-failed", log_str("error", credentials->error),
				    log_uint("suppressed", suppressed));
	} else {
		const bool same = credentials->key.id && credentials->source && !credentials->rejected &&
				  strcmp(credentials->key.id, key->id) == 0 &&
				  strcmp(credentials->key.secret, key->secret) == 0 &&
				  credentials->key.expires_ns == key->expires_ns;

		credentials->found_ns = credentials->searched_ns;
		credentials->life_ns = key->expires_ns > now_ns ? key->expires_ns - now_ns : 0;
		if (!same) {
			set_key(credentials, key);
			credentials->source = source;
			log_notice("s3-credentials", log_str("source", source),
				   log_str("expires", credentials->key.expires_ns
							      ? clock_format(credentials->key.expires_ns, until)
							      : NULL));
		}
	}
	if (event_add(credentials->wake, &(struct timeval){0}) != 0)
		call_waiters(credentials);
}

static void on_start(evutil_socket_t fd, short events, void *ctx)
{
	const struct aws_credentials *credentials = ctx;

	(void)fd;
	(void)events;
	aws_sources_search(credentials->sources);
}

static void search(struct aws_credentials *credentials)
{
	if (credentials->searching)
		return;
	credentials->searching = true;
	event_active(credentials->start, EV_TIMEOUT, 0);
}

static bool expires_within(const struct aws_credentials *credentials, uint64_t ns)
{
	const uint64_t expires_ns = credentials->key.expires_ns;

	return expires_ns && clock_realtime_ns() + ns >= expires_ns;
}

const struct aws_key *aws_credentials_get(struct aws_credentials *credentials)
{
	const uint64_t now_ns = clock_boottime_ns();
	const uint64_t early_ns = credentials->life_ns / 4 < RENEW_EARLY_NS ? credentials->life_ns / 4 : RENEW_EARLY_NS;

	if (*credentials->id)
		return configured_key(credentials);
	if (!credentials->key.id || credentials->rejected || expires_within(credentials, LAST_USE_NS))
		return NULL;
	if (!credentials->key.expires_ns)
		return aws_sources_is_file(credentials->source) && now_ns - credentials->searched_ns >= FILE_AGE_NS
			       ? NULL
			       : &credentials->key;
	if (expires_within(credentials, early_ns) && now_ns - credentials->searched_ns >= SEARCH_PAUSE_NS)
		search(credentials);
	return &credentials->key;
}

int aws_credentials_wait(struct aws_credentials *credentials, struct aws_waiter *waiter)
{
	if (credentials->waiter_count == AWS_WAITERS_MAX)
		return -ENOBUFS;
	credentials->waiter_count++;
	waiter->waiting = true;
	TAILQ_INSERT_TAIL(&credentials->waiters, waiter, list);
	if (*credentials->id)
		event_active(credentials->wake, EV_TIMEOUT, 0); /* the configured key is bad, and nothing else counts */
	else
		search(credentials);
	return 0;
}

void aws_credentials_forget(struct aws_credentials *credentials, struct aws_waiter *waiter)
{
	if (!waiter->waiting)
		return;
	waiter->waiting = false;
	credentials->waiter_count--;
	TAILQ_REMOVE(&credentials->waiters, waiter, list);
}

unsigned aws_credentials_generation(const struct aws_credentials *credentials)
{
	return credentials->generation;
}

bool aws_credentials_reject(struct aws_credentials *credentials, unsigned generation)
{
	if (*credentials->id)
		(void)configured_key(credentials);
	if (generation != credentials->generation)
		return true;
	if (*credentials->id || !credentials->source || aws_sources_is_fixed(credentials->source))
		return false;
	credentials->rejected = true;
	return true;
}

char *aws_credentials_scrub(const struct aws_credentials *credentials, const char *text)
{
	const char *secrets[] = {credentials->key.secret, credentials->key.token, credentials->previous.secret,
				 credentials->previous.token};
	char *scrubbed = strdup(text);

	for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets) && scrubbed; i++) {
		char *before = scrubbed;

		if (!secrets[i])
			continue;
		scrubbed = report_text_scrub(before, secrets[i]);
		free(before);
	}
	return scrubbed;
}

/* --- the whole --- */

void aws_credentials_free(struct aws_credentials *credentials)
{
	if (!credentials)
		return;
	aws_sources_free(credentials->sources);
	if (credentials->start)
		event_free(credentials->start);
	if (credentials->wake)
		event_free(credentials->wake);
	aws_key_deinit(&credentials->key);
	aws_key_deinit(&credentials->previous);
	free(credentials->id);
	free(credentials);
}

struct aws_credentials *aws_credentials_new(struct event_base *loop, const struct aws_credentials_options *options)
{
	cleanup(cleanup_aws_credentials) struct aws_credentials *credentials = calloc(1, sizeof(*credentials));

	if (!credentials)
		return NULL;
	TAILQ_INIT(&credentials->waiters);
	credentials->log_rate.burst = LOG_BURST;
	credentials->secret = options->secret;
	credentials->token = options->token;
	credentials->id = strdup(options->id);
	credentials->start = event_new(loop, -1, 0, on_start, credentials);
	credentials->wake = evtimer_new(loop, on_wake, credentials);
	credentials->sources = aws_sources_new(loop, options, on_found, credentials);
	if (!credentials->id || !credentials->start || !credentials->wake || !credentials->sources)
		return NULL;
	return take(credentials);
}
