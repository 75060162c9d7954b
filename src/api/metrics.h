/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's metrics, for Prometheus and the like. Loop thread. */
#pragma once

#include <stddef.h>

#include "api/openmetrics.h"
#include "http/http_server.h"

struct alert_runner;
struct deliveries;
struct event_gate;
struct node_status;
struct webhooks;

/* The most important ones have metrics. A number in digits: the help shows it. */
#define METRICS_INTERFACES_MAX 1024

struct metrics_source {
	const struct node_status *status;
	const struct event_gate *gate;
	const struct webhooks *webhooks;
	const struct deliveries *deliveries;
	const struct alert_runner *alerts;
	struct http_server_counts http;
};

/* Appends the whole exposition. 0, -EMSGSIZE (the buffer's cap), -ENOMEM, or
 * another -errno: the interfaces can't be listed. */
warn_unused int metrics_write(struct metric_writer *out, const struct metrics_source *source);
