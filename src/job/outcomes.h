/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts what became of requests and captures since the start, for metrics that alerts watch. Loop thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sink/sink.h"

struct event;

#define OUTCOME_DESTINATIONS_MAX (SINKS_MAX + 2) /* and "live" and "delivery" */
#define OUTCOME_NAME_SIZE 64

/* Why requests are refused. */
enum refusal_class {
	REFUSAL_INVALID,   /* a field, a filter or the message itself */
	REFUSAL_FORBIDDEN, /* by a rule */
	REFUSAL_SIGNATURE,
	REFUSAL_INTERFACE, /* there is none, or it is gone */
	REFUSAL_RATE,	   /* requests a second, or a customer's limit */
	REFUSAL_CAPTURES,  /* limits.captures */
	REFUSAL_MEMORY,
	REFUSAL_REPEATED, /* captured already */
	REFUSAL_LATE,	  /* too old */
	REFUSAL_STOPPING,
	REFUSAL_OTHER,
	REFUSAL_CLASSES,
};

/* Where packets are lost. */
enum loss_stage { LOSS_KERNEL, LOSS_EVICTED, LOSS_MEMORY, LOSS_NIC, LOSS_STAGES };

struct outcome_destination {
	char name[OUTCOME_NAME_SIZE];
	uint64_t delivered, failed;
};

struct outcomes {
	uint64_t incomplete; /* captures whose window is not complete */
	uint64_t folded;     /* requests that extended a running one */
	uint64_t rejected[REFUSAL_CLASSES];
	uint64_t lost[LOSS_STAGES]; /* packets */
	struct outcome_destination destinations[OUTCOME_DESTINATIONS_MAX];
	size_t destination_count;
};

const char *refusal_class_name(enum refusal_class refusal_class); /* "invalid" … */
const char *loss_stage_name(enum loss_stage stage);		  /* "kernel" … */

/* From now on the destination is counted, and shown even while it has no delivery. */
void outcomes_expect(struct outcomes *outcomes, const char *destination);

/* Repeated answers count no second time; suppressed events do count. */
void outcomes_count(struct outcomes *outcomes, const struct event *event);
