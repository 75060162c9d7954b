/* SPDX-License-Identifier: BSD-2-Clause */
/* Destinations get a slot with their first delivery; there are fewer kinds than slots. */
#include "job/outcomes.h"

#include <errno.h>
#include <string.h>

#include "event/event.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

const char *refusal_class_name(enum refusal_class refusal_class)
{
	static const char *const names[] = {
		[REFUSAL_INVALID] = "invalid",	   [REFUSAL_FORBIDDEN] = "forbidden", [REFUSAL_SIGNATURE] = "signature",
		[REFUSAL_INTERFACE] = "interface", [REFUSAL_RATE] = "rate",	      [REFUSAL_CAPTURES] = "captures",
		[REFUSAL_MEMORY] = "memory",	   [REFUSAL_REPEATED] = "repeated",   [REFUSAL_LATE] = "late",
		[REFUSAL_STOPPING] = "stopping",   [REFUSAL_OTHER] = "other",
	};

	return names[refusal_class];
}

const char *loss_stage_name(enum loss_stage stage)
{
	static const char *const names[] = {
		[LOSS_KERNEL] = "kernel",
		[LOSS_EVICTED] = "evicted",
		[LOSS_MEMORY] = "memory",
		[LOSS_NIC] = "nic",
	};

	return names[stage];
}

static enum refusal_class classify(const struct event *event)
{
	static const struct {
		int code;
		enum refusal_class refusal_class;
	} classes[] = {
		{-EINVAL, REFUSAL_INVALID},	{-E2BIG, REFUSAL_INVALID},    {-ERANGE, REFUSAL_INVALID},
		{-EMSGSIZE, REFUSAL_INVALID},	{-EACCES, REFUSAL_FORBIDDEN}, {-ENODEV, REFUSAL_INTERFACE},
		{-ENETDOWN, REFUSAL_INTERFACE}, {-EDQUOT, REFUSAL_RATE},      {-ENOSPC, REFUSAL_CAPTURES},
		{-ENOBUFS, REFUSAL_MEMORY},	{-ENOMEM, REFUSAL_MEMORY},    {-EALREADY, REFUSAL_REPEATED},
		{-EEXIST, REFUSAL_REPEATED},	{-ESTALE, REFUSAL_LATE},      {-ESHUTDOWN, REFUSAL_STOPPING},
		{-ECANCELED, REFUSAL_STOPPING},
	};

	if (event->field && strcmp(event->field, "sig") == 0)
		return REFUSAL_SIGNATURE;
	for (size_t i = 0; i < COUNT(classes); i++) {
		if (classes[i].code == event->code)
			return classes[i].refusal_class;
	}
	return REFUSAL_OTHER;
}

/* NULL: every slot has another name. */
static struct outcome_destination *find_destination(struct outcomes *outcomes, const char *name)
{
	for (size_t i = 0; i < outcomes->destination_count; i++) {
		if (strcmp(outcomes->destinations[i].name, name) == 0)
			return &outcomes->destinations[i];
	}
	if (outcomes->destination_count == OUTCOME_DESTINATIONS_MAX || strlen(name) >= OUTCOME_NAME_SIZE)
		return NULL;
	struct outcome_destination *added = &outcomes->destinations[outcomes->destination_count++];
	memcpy(added->name, name, strlen(name) + 1);
	return added;
}

void outcomes_expect(struct outcomes *outcomes, const char *destination)
{
	(void)find_destination(outcomes, destination);
}

static void count_capture(struct outcomes *outcomes, const struct event *event)
{
	outcomes->incomplete += !event->window.complete;
	outcomes->lost[LOSS_KERNEL] += event->lost.kernel;
	outcomes->lost[LOSS_EVICTED] += event->lost.evicted;
	outcomes->lost[LOSS_MEMORY] += event->lost.memory;
	outcomes->lost[LOSS_NIC] += event->nic.rx_dropped + event->nic.rx_missed_errors + event->nic.queue_drops;
}

void outcomes_count(struct outcomes *outcomes, const struct event *event)
{
	const bool over = event->kind == EVENT_DONE || event->kind == EVENT_FAILED;

	if (event->duplicate)
		return;
	outcomes->folded += event->folded_into != NULL;
	if (event->kind == EVENT_REJECTED)
		outcomes->rejected[classify(event)]++;
	if (over && event->counted)
		count_capture(outcomes, event);
	for (size_t i = 0; over && i < event->destination_count; i++) {
		struct outcome_destination *destination = find_destination(outcomes, event->destinations[i].name);

		if (destination && event->destinations[i].ok)
			destination->delivered++;
		else if (destination)
			destination->failed++;
	}
}
