/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control API: how people and scripts talk to this daemon, over HTTP (contract: "Control API"). Everything runs on
 * the loop's thread.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct alert_runner;
struct api;
struct config;
struct deliveries;
struct event_base;
struct event_bus;
struct event_gate;
struct jobs;
struct node_status;
struct secret;
struct sink;
struct webhooks;

struct api_options {
	struct event_base *loop;
	const struct config *config;
	struct jobs *jobs;
	struct event_bus *bus;
	const struct node_status *status;
	struct secret *token; /* for TCP */
	const struct event_gate *gate;
	const struct webhooks *webhooks;
	struct alert_runner *alerts;
	struct deliveries *deliveries;
	const struct sink *memory;	/* the sink of that name; NULL: none */
	bool (*ready)(const void *ctx); /* whether requests from Redis arrive, too */
	const void *ready_ctx;
};

/* All that the options point to must outlive it. NULL and `err` on failure. */
struct api *api_new(const struct api_options *options, struct error *err);

/* The daemon is stopping: ends all history streams. Other requests are still answered. */
void api_stop(struct api *api);

/* Call it before the jobs are freed. Drops pending answers. */
void api_free(struct api *api);

CLEANUP_DEFINE(api, struct api, api_free)
