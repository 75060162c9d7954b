/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One event is on its way at a time, so that a chat sees them in order. When the server cannot be reached, all wait:
 * the head is tried again after a back-off, up to its own time limit. An event carries the same delivery number in each
 * attempt, by which a receiver recognises one that it has already.
 */
#include "webhook/webhook.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "event/event_bus.h"
#include "http/http_client.h"
#include "sink/backoff.h"
#include "sink/http_verdict.h"
#include "sink/report_text.h"
#include "sink/scrub.h"

#define FIRST_BACKOFF_NS NS_PER_S
#define MAX_BACKOFF_NS (60 * NS_PER_S)
#define TIMEOUT_NS (30 * NS_PER_S) /* for one attempt */
#define LOG_BURST 10		   /* lines about retries, and about dropped events, a second */
#define ERROR_SIZE 512

/* An event that waits, or is on its way. */
struct message {
	TAILQ_ENTRY(message) queue;
	char *body;
	size_t size;
	enum event_kind kind;
	char *id, *capture; /* for logs; NULL: none */
	uint64_t number, queued_ns;
	unsigned attempts;
};

struct webhook {
	struct event_base *loop;
	struct event_bus *bus;
	struct http_client *client;
	struct event *timer; /* starts the next attempt */
	char *name, *url;
	bool https;
	struct secret *url_secret, *token, *key;
	unsigned generation; /* of URL and token, for which `url` and `scrub` are complete */
	struct scrub scrub;
	unsigned kinds;
	enum webhook_format format;
	struct curl_slist *headers; /* the configured ones */
	uint64_t retry_ns, first_backoff_ns;
	uint64_t started_s, numbers; /* of messages */
	TAILQ_HEAD(, message) waiting;
	size_t waiting_count, waiting_bytes;
	struct http_transfer *transfer; /* of the first one that waits; NULL: none is on its way */
	struct curl_slist *request_headers;
	struct webhook_counts counts;
	struct log_rate retry_rate, dropped_rate;
};

/* --- what waits --- */

static void message_free(struct message *message)
{
	free(message->body);
	free(message->id);
	free(message->capture);
	free(message);
}

CLEANUP_DEFINE(message, struct message, message_free)

static void start_later(struct webhook *webhook, uint64_t wait_ns)
{
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000)};

	(void)event_add(webhook->timer, &wait);
}

static void remove_first(struct webhook *webhook)
{
	struct message *message = TAILQ_FIRST(&webhook->waiting);

	TAILQ_REMOVE(&webhook->waiting, message, queue);
	webhook->waiting_count--;
	webhook->waiting_bytes -= message->size;
	message_free(message);
	if (webhook->waiting_count > 0)
		start_later(webhook, 0);
}

static void drop(struct webhook *webhook, const struct event *event, const char *reason)
{
	uint64_t suppressed = 0;

	webhook->counts.dropped++;
	if (log_rate_allow(&webhook->dropped_rate, &suppressed))
		log_warning("webhook-dropped", log_str("webhook", webhook->name),
			    log_str("event", event_kind_name(event->kind)), log_str("id", event->id),
			    log_str("capture", event->capture), log_str("reason", reason),
			    log_uint("suppressed", suppressed));
}

static bool copy_text(char **copy, const char *text)
{
	*copy = text ? strdup(text) : NULL;
	return *copy || !text;
}

static struct message *message_new(struct webhook *webhook, const struct event *event, const char *json)
{
	cleanup(cleanup_message) struct message *message = calloc(1, sizeof(*message));

	if (!message || !copy_text(&message->id, event->id) || !copy_text(&message->capture, event->capture))
		return NULL;
	message->body = webhook_body(webhook->format, event, json);
	if (!message->body)
		return NULL;
	message->size = strlen(message->body);
	message->kind = event->kind;
	message->number = ++webhook->numbers;
	message->queued_ns = clock_boottime_ns();
	return take(message);
}

static void on_event(void *ctx, const struct event *event, const char *json)
{
	struct webhook *webhook = ctx;
	struct message *message;

	if (!json || !(webhook->kinds & 1u << event->kind))
		return;
	if (webhook->waiting_count == WEBHOOK_EVENTS_MAX || webhook->waiting_bytes >= WEBHOOK_BYTES_MAX) {
		drop(webhook, event, "too many wait");
		return;
	}
	message = message_new(webhook, event, json);
	if (!message) {
		drop(webhook, event, "out of memory");
		return;
	}
	TAILQ_INSERT_TAIL(&webhook->waiting, message, queue);
	webhook->waiting_bytes += message->size;
	if (webhook->waiting_count++ == 0)
		start_later(webhook, 0);
}

/* --- an attempt --- */

static bool is_https(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
}

/* Takes the URL and the token as they are now. */
static void renew_secrets(struct webhook *webhook)
{
	const char *url = secret_get(webhook->url_secret), *token = secret_get(webhook->token);
	const unsigned generation = secret_generation(webhook->url_secret) + secret_generation(webhook->token);
	char *copy;

	if (webhook->url && generation == webhook->generation)
		return;
	if (webhook->url && is_https(url) != webhook->https) {
		log_warning("webhook-url-unusable", log_str("webhook", webhook->name),
			    log_str("reason", "its scheme may not change while the daemon runs"));
		url = webhook->url;
	}
	copy = strdup(url);
	if (!copy || scrub_add_url(&webhook->scrub, url, true) < 0 || scrub_add(&webhook->scrub, token) < 0) {
		free(copy);
		return;
	}
	free(webhook->url);
	webhook->url = copy;
	webhook->generation = generation;
}

/* What went wrong, without secrets. */
static void describe(const struct webhook *webhook, const struct http_reply *reply, char text[static ERROR_SIZE])
{
	cleanup(cleanup_free) char *body = strdup(reply->body), *whole = NULL;

	if (body)
		report_text_line(body);
	if (reply->status == 0 ||
	    asprintf(&whole, "HTTP %ld%s%s", reply->status, body && *body ? ": " : "", body ? body : "") < 0)
		whole = strdup(reply->error);
	scrub_put(&webhook->scrub, text, ERROR_SIZE, whole ? whole : "out of memory");
}

static void give_up(struct webhook *webhook, const char *error)
{
	const struct message *message = TAILQ_FIRST(&webhook->waiting);

	webhook->counts.failed++;
	log_warning("webhook-failed", log_str("webhook", webhook->name),
		    log_str("event", event_kind_name(message->kind)), log_str("id", message->id),
		    log_str("capture", message->capture), log_uint("attempts", message->attempts),
		    log_str("error", error));
	remove_first(webhook);
}

static void try_again(struct webhook *webhook, uint64_t retry_after_ns, const char *error)
{
	const struct message *message = TAILQ_FIRST(&webhook->waiting);
	const uint64_t wait_ns =
		backoff_ns(webhook->first_backoff_ns, MAX_BACKOFF_NS, message->attempts, retry_after_ns);
	uint64_t suppressed = 0;

	if (clock_boottime_ns() + wait_ns - message->queued_ns > webhook->retry_ns) {
		give_up(webhook, error);
		return;
	}
	webhook->counts.retries++;
	if (log_rate_allow(&webhook->retry_rate, &suppressed))
		log_warning("webhook-retry", log_str("webhook", webhook->name),
			    log_str("event", event_kind_name(message->kind)), log_str("id", message->id),
			    log_uint("attempt", message->attempts), log_num("wait_s", (double)wait_ns / NS_PER_S),
			    log_str("error", error), log_uint("suppressed", suppressed));
	start_later(webhook, wait_ns);
}

static void end_transfer(struct webhook *webhook)
{
	http_transfer_free(take(webhook->transfer));
	curl_slist_free_all(take(webhook->request_headers));
}

static void on_answer(void *ctx, const struct http_reply *reply)
{
	struct webhook *webhook = ctx;
	const enum sink_verdict verdict = http_verdict(reply, true);
	const uint64_t retry_after_ns = reply->retry_after_ns;
	char error[ERROR_SIZE];

	describe(webhook, reply, error);
	end_transfer(webhook);
	if (verdict == SINK_OK) {
		webhook->counts.sent++;
		remove_first(webhook);
	} else if (verdict == SINK_RETRY) {
		try_again(webhook, retry_after_ns, error);
	} else {
		give_up(webhook, error);
	}
}

static int add_header(struct webhook *webhook, const char *name, const char *value)
{
	cleanup(cleanup_free) char *header = NULL;
	struct curl_slist *longer;

	for (const struct curl_slist *own = webhook->headers; own; own = own->next)
		if (strncasecmp(own->data, name, strlen(name)) == 0 && own->data[strlen(name)] == ':')
			return 0; /* the configured one goes before */
	if (asprintf(&header, "%s: %s", name, value) < 0) {
		header = NULL;
		return -ENOMEM;
	}
	longer = curl_slist_append(webhook->request_headers, header);
	if (!longer)
		return -ENOMEM;
	webhook->request_headers = longer;
	return 0;
}

static int add_headers(struct webhook *webhook, const struct message *message)
{
	const char *token = secret_get(webhook->token), *key = secret_get(webhook->key);
	char number[48], signature[WEBHOOK_SIGNATURE_SIZE];
	cleanup(cleanup_free) char *bearer = NULL;
	int r = 0;

	for (const struct curl_slist *own = webhook->headers; own; own = own->next) {
		struct curl_slist *longer = curl_slist_append(webhook->request_headers, own->data);

		if (!longer)
			return -ENOMEM;
		webhook->request_headers = longer;
	}
	snprintf(number, sizeof(number), "%" PRIu64 "-%" PRIu64, webhook->started_s, message->number);
	if (*token && asprintf(&bearer, "Bearer %s", token) < 0) {
		bearer = NULL;
		return -ENOMEM;
	}
	if (*key && !webhook_sign(key, clock_realtime_ns() / NS_PER_S, message->body, signature))
		return -ENOMEM;
	r = add_header(webhook, "Content-Type", "application/json");
	if (r == 0)
		r = add_header(webhook, "X-Pcapdaemon-Event", event_kind_name(message->kind));
	if (r == 0)
		r = add_header(webhook, "X-Pcapdaemon-Delivery", number);
	if (r == 0 && *key)
		r = add_header(webhook, "X-Pcapdaemon-Signature", signature);
	if (r == 0 && bearer)
		r = add_header(webhook, "Authorization", bearer);
	return r;
}

static int start_transfer(struct webhook *webhook, const struct message *message)
{
	CURL *easy;

	renew_secrets(webhook);
	webhook->transfer = http_transfer_new(webhook->client, on_answer, webhook);
	if (!webhook->transfer || add_headers(webhook, message) < 0)
		return -ENOMEM;
	easy = http_transfer_easy(webhook->transfer);
	if (curl_easy_setopt(easy, CURLOPT_URL, webhook->url) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, message->body) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)message->size) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, webhook->request_headers) != CURLE_OK)
		return -ENOMEM;
	return http_transfer_start(webhook->transfer);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct webhook *webhook = ctx;
	struct message *message = TAILQ_FIRST(&webhook->waiting);

	(void)fd;
	(void)what;
	if (!message || webhook->transfer)
		return;
	message->attempts++;
	if (start_transfer(webhook, message) < 0) {
		end_transfer(webhook);
		try_again(webhook, 0, "out of memory");
	}
}

/* --- life --- */

void webhook_free(struct webhook *webhook)
{
	struct message *message;

	if (!webhook)
		return;
	event_bus_unsubscribe(webhook->bus, on_event, webhook);
	if (webhook->waiting_count > 0)
		log_warning("webhook-given-up", log_str("webhook", webhook->name),
			    log_uint("events", webhook->waiting_count));
	end_transfer(webhook);
	http_client_free(webhook->client);
	while ((message = TAILQ_FIRST(&webhook->waiting))) {
		TAILQ_REMOVE(&webhook->waiting, message, queue);
		message_free(message);
	}
	if (webhook->timer)
		event_free(webhook->timer);
	curl_slist_free_all(webhook->headers);
	scrub_deinit(&webhook->scrub);
	free(webhook->url);
	free(webhook->name);
	free(webhook);
}

/* Their values may be keys of the receiver. */
static int copy_headers(struct webhook *webhook, const struct webhook_options *options)
{
	for (size_t i = 0; i < options->header_count; i++) {
		struct curl_slist *longer = curl_slist_append(webhook->headers, options->headers[i]);

		if (!longer)
			return -ENOMEM;
		webhook->headers = longer;
		if (scrub_add_header(&webhook->scrub, options->headers[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

struct webhook *webhook_new(struct event_base *loop, struct event_bus *bus, const struct webhook_options *options)
{
	cleanup(cleanup_webhook) struct webhook *webhook = calloc(1, sizeof(*webhook));

	if (!webhook)
		return NULL;
	TAILQ_INIT(&webhook->waiting);
	webhook->loop = loop;
	webhook->bus = bus;
	webhook->name = strdup(options->name);
	webhook->url_secret = options->url;
	webhook->token = options->token;
	webhook->key = options->key;
	webhook->kinds = options->kinds;
	webhook->format = options->format;
	webhook->retry_ns = options->retry_ns;
	webhook->first_backoff_ns = options->first_backoff_ns ? options->first_backoff_ns : FIRST_BACKOFF_NS;
	webhook->started_s = clock_realtime_ns() / NS_PER_S;
	webhook->retry_rate = webhook->dropped_rate = (struct log_rate){.burst = LOG_BURST};
	webhook->https = is_https(secret_get(options->url));
	webhook->timer = evtimer_new(loop, on_timer, webhook);
	webhook->client = http_client_new(loop, &(struct http_client_options){
							.https = webhook->https,
							.verify = options->verify,
							.ca_file = options->ca_file,
							.timeout_ns = TIMEOUT_NS,
						});
	renew_secrets(webhook);
	if (!webhook->name || !webhook->timer || !webhook->client || !webhook->url ||
	    copy_headers(webhook, options) < 0 || event_bus_subscribe(bus, on_event, webhook) < 0)
		return NULL;
	return take(webhook);
}

const char *webhook_name(const struct webhook *webhook)
{
	return webhook->name;
}

struct webhook_counts webhook_counts(const struct webhook *webhook)
{
	struct webhook_counts counts = webhook->counts;

	counts.waiting = webhook->waiting_count;
	return counts;
}

size_t webhooks_waiting(const struct webhooks *webhooks)
{
	size_t waiting = 0;

	for (size_t i = 0; i < webhooks->count; i++)
		waiting += webhooks->items[i]->waiting_count;
	return waiting;
}

void webhooks_deinit(struct webhooks *webhooks)
{
	while (webhooks->count > 0)
		webhook_free(webhooks->items[--webhooks->count]);
}
