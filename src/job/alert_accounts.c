/* SPDX-License-Identifier: BSD-2-Clause */
/* A message takes a token before it is read, and another one for each further alert in it. */
#include "job/alert_accounts.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/minute_rate.h"
#include "base/token_bucket.h"
#include "config/config.h"
#include "event/event.h"
#include "event/event_bus.h"

struct alert_account {
	struct event_bus *bus;
	struct event *timer; /* pending while anything is unreported */
	const char *node;
	char *name;
	enum alert_format format;
	uint64_t per_second;
	struct token_bucket bucket;
	struct minute_rate rate;
	struct log_rate unreadable_rate;
	uint64_t alerts, unreadable, own, suppressed;
	uint64_t unreported; /* of the suppressed ones */
};

struct alert_accounts {
	struct event_base *loop;
	struct event_bus *bus;
	const struct config *config;
	struct alert_account **inputs;		  /* as the configuration's; NULL: none, as yet */
	struct alert_account *api[ALERT_FORMATS]; /* NULL: none came yet */
};

/* --- one --- */

static void report(struct alert_account *account)
{
	const struct event event = {
		.kind = EVENT_SUPPRESSED,
		.node = account->node,
		.time_ns = clock_realtime_ns(),
		.reason = "alerts",
		.origin = account->name,
		.count = account->unreported,
	};

	account->unreported = 0;
	if (event.count)
		event_bus_publish(account->bus, &event);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	report(ctx);
}

static void free_account(struct alert_account *account)
{
	if (!account)
		return;
	if (account->timer)
		event_free(account->timer);
	free(account->name);
	free(account);
}

CLEANUP_DEFINE(account, struct alert_account, free_account)

/* NULL on ENOMEM. */
static struct alert_account *new_account(const struct alert_accounts *accounts, const char *from, const char *name,
					 enum alert_format format)
{
	cleanup(cleanup_account) struct alert_account *account = calloc(1, sizeof(*account));

	if (!account)
		return NULL;
	account->bus = accounts->bus;
	account->node = accounts->config->general.node;
	account->format = format;
	account->per_second = accounts->config->limits.alerts_per_second;
	account->unreadable_rate.burst = 1;
	token_bucket_init(&account->bucket, clock_boottime_ns());
	if (asprintf(&account->name, "%s:%s", from, name) < 0)
		account->name = NULL;
	account->timer = evtimer_new(accounts->loop, on_timer, account);
	return account->name && account->timer ? take(account) : NULL;
}

bool alert_account_take(struct alert_account *account, uint64_t now_ns)
{
	static const struct timeval interval = {.tv_sec = ALERT_REPORT_S};

	if (token_bucket_take(&account->bucket, account->per_second, now_ns)) {
		account->alerts++;
		minute_rate_count(&account->rate, now_ns);
		return true;
	}
	account->suppressed++;
	account->unreported++;
	if (!evtimer_pending(account->timer, NULL))
		(void)evtimer_add(account->timer, &interval);
	return false;
}

void alert_account_unreadable(struct alert_account *account, const char *error)
{
	uint64_t suppressed;

	account->alerts--;
	account->unreadable++;
	if (log_rate_allow(&account->unreadable_rate, &suppressed))
		log_warning("alert-unreadable", log_str("input", account->name),
			    log_str("format", alert_format_name(account->format)), log_str("error", error),
			    log_uint("suppressed", suppressed));
}

void alert_account_own(struct alert_account *account)
{
	account->own++;
}

/* --- all --- */

struct alert_accounts *alert_accounts_new(struct event_base *loop, struct event_bus *bus, const struct config *config)
{
	cleanup(cleanup_alert_accounts) struct alert_accounts *accounts = calloc(1, sizeof(*accounts));

	if (!accounts)
		return NULL;
	*accounts = (struct alert_accounts){.loop = loop, .bus = bus, .config = config};
	accounts->inputs = calloc(config->input_count + 1, sizeof(struct alert_account *));
	for (size_t i = 0; accounts->inputs && i < config->input_count; i++) {
		const struct config_input *input = &config->inputs[i];

		accounts->inputs[i] = new_account(accounts, input->from, input->name, alert_format_find(input->format));
		if (!accounts->inputs[i])
			return NULL;
	}
	return accounts->inputs ? take(accounts) : NULL;
}

struct alert_account *alert_accounts_find(struct alert_accounts *accounts, const struct config_input *input,
					  enum alert_format format)
{
	if (input)
		return accounts->inputs[input - accounts->config->inputs];
	if (!accounts->api[format])
		accounts->api[format] = new_account(accounts, "api", alert_format_name(format), format);
	return accounts->api[format];
}

static void each(const struct alert_accounts *accounts, void (*call)(void *ctx, struct alert_account *account),
		 void *ctx)
{
	for (size_t i = 0; accounts->inputs && i < accounts->config->input_count; i++)
		if (accounts->inputs[i])
			call(ctx, accounts->inputs[i]);
	for (size_t i = 0; i < ALERT_FORMATS; i++)
		if (accounts->api[i])
			call(ctx, accounts->api[i]);
}

static void free_each(void *ctx, struct alert_account *account)
{
	(void)ctx;
	free_account(account);
}

void alert_accounts_free(struct alert_accounts *accounts)
{
	if (!accounts)
		return;
	each(accounts, free_each, NULL);
	free(accounts->inputs);
	free(accounts);
}

static void report_each(void *ctx, struct alert_account *account)
{
	(void)ctx;
	report(account);
}

void alert_accounts_report(struct alert_accounts *accounts)
{
	each(accounts, report_each, NULL);
}

struct walk {
	alert_account_visitor visit;
	void *ctx;
};

static void visit_each(void *ctx, struct alert_account *account)
{
	const struct walk *walk = ctx;
	const struct alert_account_status status = {
		.name = account->name,
		.format = alert_format_name(account->format),
		.alerts = account->alerts,
		.unreadable = account->unreadable,
		.own = account->own,
		.suppressed = account->suppressed,
		.rate = minute_rate_per_second(&account->rate, clock_boottime_ns()),
	};

	walk->visit(walk->ctx, &status);
}

void alert_accounts_visit(const struct alert_accounts *accounts, alert_account_visitor visit, void *ctx)
{
	each(accounts, visit_each, &(struct walk){visit, ctx});
}
