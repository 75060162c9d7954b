/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The likeliest cause comes first: a window that is out of reach, an interface that carries nothing, the recorder's own
 * filter, the request's filter. `seen` may come from the interface's counters, which some drivers update late, and
 * which are read a little before the window begins and after it ends.
 */
#include "job/empty_hint.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

#define FILTER_SHOWN 200 /* bytes */
#define INTERFACES_SHOWN 4

static void put_interfaces(const struct empty_hint *hint, char text[static EMPTY_HINT_SIZE])
{
	static const char *const states[] = {
		[INTERFACE_UNKNOWN] = "is in an unknown state",
		[INTERFACE_UP] = "is up",
		[INTERFACE_NO_CARRIER] = "has no carrier",
		[INTERFACE_DOWN] = "is down",
		[INTERFACE_GONE] = "is gone",
	};
	size_t used = 0, i = 0;

	for (; i < hint->interface_count && i < INTERFACES_SHOWN; i++)
		used += (size_t)snprintf(text + used, EMPTY_HINT_SIZE - used, "%s%.64s %s", i ? ", " : "",
					 hint->interfaces[i].name, states[hint->interfaces[i].state]);
	if (i < hint->interface_count)
		snprintf(text + used, EMPTY_HINT_SIZE - used, ", and %zu more", hint->interface_count - i);
}

static void put_filtered(const struct empty_hint *hint, double seconds, char text[static EMPTY_HINT_SIZE])
{
	const char *filter = hint->bpf ? hint->bpf : hint->inner;

	snprintf(text, EMPTY_HINT_SIZE, "no packet matched `%.*s`; %" PRIu64 " others passed on %.128s in %.3g s",
		 FILTER_SHOWN, filter, hint->seen, hint->interface, seconds);
}

const char *empty_hint_text(const struct empty_hint *hint, char text[static EMPTY_HINT_SIZE])
{
	const uint64_t covered_ns = hint->to_ns > hint->from_ns ? hint->to_ns - hint->from_ns : 0;
	const double seconds = (double)covered_ns / NS_PER_S;

	if (hint->out_of_reach)
		snprintf(text, EMPTY_HINT_SIZE, "the recorder no longer holds anything of the requested window");
	else if (hint->interface_count > 0)
		put_interfaces(hint, text);
	else if (hint->retention_may_hide)
		snprintf(text, EMPTY_HINT_SIZE,
			 "the recorder's own filter (history.filter) kept none, and decides what history can have");
	else if (hint->seen > 0 && (hint->bpf || hint->inner))
		put_filtered(hint, seconds, text);
	else if (hint->seen > 0)
		snprintf(text, EMPTY_HINT_SIZE,
			 "no packet passed on %.128s within the window of %.3g s; %" PRIu64
			 " passed just before or after it",
			 hint->interface, seconds, hint->seen);
	else
		snprintf(text, EMPTY_HINT_SIZE, "no packet passed on %.128s in %.3g s", hint->interface, seconds);
	return text;
}
