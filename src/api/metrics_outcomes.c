/* SPDX-License-Identifier: BSD-2-Clause */
/* Every reason and stage has a sample from the start: an alert on a growth needs the 0 before it. */
#include "api/metrics_outcomes.h"

#include "job/outcomes.h"

static int write_number(struct metric_writer *out, const struct metric_family *family, uint64_t number)
{
	static const struct metric_label none[] = {{NULL, NULL}};
	const int r = metric_header(out, family);

	return r == 0 ? metric_sample(out, family, none, (double)number) : r;
}

static int write_rejected(struct metric_writer *out, const struct outcomes *outcomes)
{
	static const struct metric_family family = {"pcapdaemon_rejected", METRIC_COUNTER, NULL,
						    "Requests and captures refused, by reason."};
	int r = metric_header(out, &family);

	for (int reason = 0; reason < REFUSAL_CLASSES && r == 0; reason++) {
		const struct metric_label labels[] = {{"reason", refusal_class_name((enum refusal_class)reason)},
						      {NULL, NULL}};

		r = metric_sample(out, &family, labels, (double)outcomes->rejected[reason]);
	}
	return r;
}

static int write_lost(struct metric_writer *out, const struct outcomes *outcomes)
{
	static const struct metric_family family = {"pcapdaemon_lost_packets", METRIC_COUNTER, NULL,
						    "Packets that captures lost, by stage."};
	int r = metric_header(out, &family);

	for (int stage = 0; stage < LOSS_STAGES && r == 0; stage++) {
		const struct metric_label labels[] = {{"stage", loss_stage_name((enum loss_stage)stage)}, {NULL, NULL}};

		r = metric_sample(out, &family, labels, (double)outcomes->lost[stage]);
	}
	return r;
}

static int write_deliveries(struct metric_writer *out, const struct outcomes *outcomes)
{
	static const struct metric_family family = {"pcapdaemon_deliveries", METRIC_COUNTER, NULL,
						    "Files that a destination took, or finally did not, by result."};
	int r = metric_header(out, &family);

	for (size_t i = 0; i < outcomes->destination_count && r == 0; i++) {
		const struct outcome_destination *destination = &outcomes->destinations[i];
		const struct metric_label delivered[] = {{"destination", destination->name},
							 {"result", "delivered"},
							 {NULL, NULL}};
		const struct metric_label failed[] = {{"destination", destination->name},
						      {"result", "failed"},
						      {NULL, NULL}};

		r = metric_sample(out, &family, delivered, (double)destination->delivered);
		if (r == 0)
			r = metric_sample(out, &family, failed, (double)destination->failed);
	}
	return r;
}

int metrics_write_outcomes(struct metric_writer *out, const struct outcomes *outcomes)
{
	static const struct metric_family incomplete = {"pcapdaemon_incomplete_captures", METRIC_COUNTER, NULL,
							"Captures that may lack packets of their window."};
	static const struct metric_family folded = {
		"pcapdaemon_folded", METRIC_COUNTER, NULL,
		"Requests that extended a running capture instead of starting one."};
	int r = write_number(out, &incomplete, outcomes->incomplete);

	if (r == 0)
		r = write_number(out, &folded, outcomes->folded);
	if (r == 0)
		r = write_rejected(out, outcomes);
	if (r == 0)
		r = write_lost(out, outcomes);
	return r == 0 ? write_deliveries(out, outcomes) : r;
}
