/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying and freeing walk one table of the string members, so that they cannot disagree. */
#include "event/event_copy.h"

#include <string.h>

#include "base/container_of.h"

static const size_t event_strings[] = {
	offsetof(struct event, id),	   offsetof(struct event, capture),
	offsetof(struct event, node),	   offsetof(struct event, interface),
	offsetof(struct event, reason),	   offsetof(struct event, field),
	offsetof(struct event, origin),	   offsetof(struct event, file),
	offsetof(struct event, tags),	   offsetof(struct event, customer),
	offsetof(struct event, alertid),   offsetof(struct event, folded_into),
	offsetof(struct event, key),	   offsetof(struct event, ended_by),
	offsetof(struct event, limit_key), offsetof(struct event, interface_state),
	offsetof(struct event, hint),	   offsetof(struct event, filter),
	offsetof(struct event, inner),	   offsetof(struct event, rule),
};

static const size_t destination_strings[] = {
	offsetof(struct event_destination, name),
	offsetof(struct event_destination, url),
	offsetof(struct event_destination, error),
	offsetof(struct event_destination, warning),
};

static const size_t skipped_strings[] = {
	offsetof(struct event_skipped, interface),
	offsetof(struct event_skipped, reason),
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Replaces every string of a shallow copy by a duplicate. On failure the rest is NULL, so that freeing is safe. */
static bool own_strings(void *object, const size_t *offsets, size_t count)
{
	bool ok = true;

	for (size_t i = 0; i < count; i++) {
		char **at = (char **)((char *)object + offsets[i]);

		if (*at)
			*at = ok ? strdup(*at) : NULL;
		else
			continue;
		ok = *at != NULL;
	}
	return ok;
}

static void free_strings(void *object, const size_t *offsets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(*(char **)((char *)object + offsets[i]));
}

struct copy {
	struct event event;
	struct event_destination *destinations;
	struct event_skipped *skipped;
};

struct event *event_copy(const struct event *event)
{
	struct copy *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	copy->event = *event;
	bool ok = own_strings(&copy->event, event_strings, COUNT(event_strings));
	if (event->destination_count) {
		copy->destinations = calloc(event->destination_count, sizeof(*copy->destinations));
		ok &= copy->destinations != NULL;
	}
	copy->event.destinations = copy->destinations;
	for (size_t i = 0; copy->destinations && i < event->destination_count; i++) {
		copy->destinations[i] = event->destinations[i];
		ok &= own_strings(&copy->destinations[i], destination_strings, COUNT(destination_strings));
	}
	if (event->skipped_count) {
		copy->skipped = calloc(event->skipped_count, sizeof(*copy->skipped));
		ok &= copy->skipped != NULL;
	}
	copy->event.skipped = copy->skipped;
	for (size_t i = 0; copy->skipped && i < event->skipped_count; i++) {
		copy->skipped[i] = event->skipped[i];
		ok &= own_strings(&copy->skipped[i], skipped_strings, COUNT(skipped_strings));
	}
	if (ok)
		return &copy->event;
	event_copy_free(&copy->event);
	return NULL;
}

static size_t string_bytes(const void *object, const size_t *offsets, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		const char *string = *(char *const *)((const char *)object + offsets[i]);

		bytes += string ? strlen(string) + 1 : 0;
	}
	return bytes;
}

size_t event_copy_bytes(const struct event *event)
{
	size_t bytes = sizeof(struct copy) + string_bytes(event, event_strings, COUNT(event_strings));

	for (size_t i = 0; i < event->destination_count; i++)
		bytes += sizeof(*event->destinations) +
			 string_bytes(&event->destinations[i], destination_strings, COUNT(destination_strings));
	for (size_t i = 0; i < event->skipped_count; i++)
		bytes += sizeof(*event->skipped) +
			 string_bytes(&event->skipped[i], skipped_strings, COUNT(skipped_strings));
	return bytes;
}

void event_copy_free(struct event *event)
{
	if (!event)
		return;
	struct copy *copy = container_of(event, struct copy, event);
	for (size_t i = 0; copy->destinations && i < copy->event.destination_count; i++)
		free_strings(&copy->destinations[i], destination_strings, COUNT(destination_strings));
	free(copy->destinations);
	for (size_t i = 0; copy->skipped && i < copy->event.skipped_count; i++)
		free_strings(&copy->skipped[i], skipped_strings, COUNT(skipped_strings));
	free(copy->skipped);
	free_strings(&copy->event, event_strings, COUNT(event_strings));
	free(copy);
}
