/* SPDX-License-Identifier: BSD-2-Clause */
/* Each webhook is a label. */
#include "api/metrics_webhooks.h"

#include "webhook/webhook.h"

#define OUTCOMES 3

static const char *const outcomes[OUTCOMES] = {"sent", "failed", "dropped"};

static int write_events(struct metric_writer *out, const struct webhooks *webhooks)
{
	static const struct metric_family family = {"pcapdaemon_webhook_events", METRIC_COUNTER, NULL,
						    "Events for a webhook, by what became of them: the server took it "
						    "(sent), refused it or did not answer in "
						    "time (failed), or too many waited (dropped)."};
	int r = metric_header(out, &family);

	for (size_t i = 0; i < webhooks->count && r == 0; i++) {
		const struct webhook_counts counts = webhook_counts(webhooks->items[i]);
		const uint64_t numbers[OUTCOMES] = {counts.sent, counts.failed, counts.dropped};

		for (size_t k = 0; k < OUTCOMES && r == 0; k++) {
			const struct metric_label labels[] = {{"webhook", webhook_name(webhooks->items[i])},
							      {"outcome", outcomes[k]},
							      {NULL, NULL}};

			r = metric_sample(out, &family, labels, (double)numbers[k]);
		}
	}
	return r;
}

static double retries(const struct webhook_counts *counts)
{
	return (double)counts->retries;
}

static double waiting(const struct webhook_counts *counts)
{
	return (double)counts->waiting;
}

static int write_family(struct metric_writer *out, const struct webhooks *webhooks, const struct metric_family *family,
			double (*read)(const struct webhook_counts *counts))
{
	int r = metric_header(out, family);

	for (size_t i = 0; i < webhooks->count && r == 0; i++) {
		const struct webhook_counts counts = webhook_counts(webhooks->items[i]);
		const struct metric_label labels[] = {{"webhook", webhook_name(webhooks->items[i])}, {NULL, NULL}};

		r = metric_sample(out, family, labels, read(&counts));
	}
	return r;
}

int metrics_write_webhooks(struct metric_writer *out, const struct webhooks *webhooks)
{
	static const struct metric_family retry_family = {"pcapdaemon_webhook_retries", METRIC_COUNTER, NULL,
							  "Attempts of a webhook that failed and were put off."};
	static const struct metric_family waiting_family = {"pcapdaemon_webhook_waiting", METRIC_GAUGE, NULL,
							    "Events that wait for a webhook's server."};
	int r = webhooks->count ? write_events(out, webhooks) : 0;

	if (r == 0 && webhooks->count)
		r = write_family(out, webhooks, &retry_family, retries);
	return r == 0 && webhooks->count ? write_family(out, webhooks, &waiting_family, waiting) : r;
}
