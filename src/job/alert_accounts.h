/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The account of each way in for alerts, an input of the configuration or a format of the control API: what came is
 * counted, a flood is cut down to limits.alerts_per_second, and how much that was is reported as a `suppressed` event
 * every few seconds. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "alert/alert_format.h"
#include "base/cleanup.h"

struct alert_account;
struct alert_accounts;
struct config;
struct config_input;
struct event_base;
struct event_bus;

#define ALERT_REPORT_S 10

/* All of it must outlive the accounts. NULL on ENOMEM. */
struct alert_accounts *alert_accounts_new(struct event_base *loop, struct event_bus *bus, const struct config *config);
void alert_accounts_free(struct alert_accounts *accounts);

/* `input`: of the configuration; NULL: the control API. NULL on ENOMEM. */
struct alert_account *alert_accounts_find(struct alert_accounts *accounts, const struct config_input *input,
					  enum alert_format format);

/* Reports now what was suppressed, as before a stop. */
void alert_accounts_report(struct alert_accounts *accounts);

struct alert_account_status {
	const char *name; /* "redis-channel:suricata", "api:eve" */
	const char *format;
	uint64_t alerts;     /* that were taken */
	uint64_t unreadable; /* messages */
	uint64_t own;	     /* of the alerts, what pcapdaemon wrote itself */
	uint64_t suppressed; /* beyond the limit: alerts, or messages that were not read */
	double rate;	     /* of what was taken, a second, over the last minute */
};

/* The inputs, and the formats that came over the control API. */
typedef void (*alert_account_visitor)(void *ctx, const struct alert_account_status *status);
void alert_accounts_visit(const struct alert_accounts *accounts, alert_account_visitor visit, void *ctx);

/* Whether another alert may be taken now; counts it. */
bool alert_account_take(struct alert_account *account, uint64_t now_ns);

/* What was taken last was no alert: `error`: why the message cannot be read. */
void alert_account_unreadable(struct alert_account *account, const char *error);
void alert_account_own(struct alert_account *account); /* it was our own */

CLEANUP_DEFINE(alert_accounts, struct alert_accounts, alert_accounts_free)
