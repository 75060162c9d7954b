/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Webhooks: events POSTed to a URL as they happen, in order, each until the server takes it, refuses it or its time is
 * over. They never hold up a capture: what a slow server leaves waiting is bounded. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "webhook/webhook_body.h"

struct event_base;
struct event_bus;
struct secret;
struct webhook;

/* Of the events that wait; further ones are dropped, and counted. */
#define WEBHOOK_EVENTS_MAX 1000
#define WEBHOOK_BYTES_MAX (4u << 20)

struct webhook_options {
	const char *name;     /* for logs and metrics */
	struct secret *url;   /* http:// or https:// */
	struct secret *token; /* bearer; "": none */
	struct secret *key;   /* of the signature; "": none */
	unsigned kinds;	      /* a bit for each enum event_kind */
	enum webhook_format format;
	char *const *headers; /* "Name: value" */
	size_t header_count;
	const char *ca_file;	   /* "": the system's authorities */
	bool verify;		   /* TLS: certificate and host name */
	uint64_t retry_ns;	   /* how long to try one event; 0: once */
	uint64_t first_backoff_ns; /* 0: 1 s */
};

struct webhook_counts {
	uint64_t sent, failed, dropped; /* events */
	uint64_t retries;
	size_t waiting;
};

/*
 * Subscribes to the bus, which must outlive it, as must the secrets; the rest is copied. NULL on ENOMEM or if the bus
 * is full.
 */
struct webhook *webhook_new(struct event_base *loop, struct event_bus *bus, const struct webhook_options *options);
void webhook_free(struct webhook *webhook); /* drops what waits, and logs how much that is */

const char *webhook_name(const struct webhook *webhook);
struct webhook_counts webhook_counts(const struct webhook *webhook);

/* All webhooks of a configuration, for metrics and the shut-down. */
#define WEBHOOKS_MAX 16

struct webhooks {
	struct webhook *items[WEBHOOKS_MAX];
	size_t count;
};

size_t webhooks_waiting(const struct webhooks *webhooks); /* events */
void webhooks_deinit(struct webhooks *webhooks);

CLEANUP_DEFINE(webhook, struct webhook, webhook_free)
