/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts that began before the breaker opened still end: their success closes it, their failures say nothing new. */
#include "sink/breaker.h"

#include "sink/backoff.h"

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = {
		[BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half-open"};

	return names[state];
}

bool breaker_allows(const struct breaker *breaker, uint64_t now_ns)
{
	switch (breaker->state) {
	case BREAKER_CLOSED:
		return true;
	case BREAKER_OPEN:
		return now_ns >= breaker->until_ns;
	case BREAKER_HALF_OPEN:
		break;
	}
	return !breaker->probing;
}

bool breaker_begin(struct breaker *breaker)
{
	if (breaker->state == BREAKER_CLOSED)
		return false;
	breaker->state = BREAKER_HALF_OPEN;
	breaker->probing = true;
	return true;
}

static void open_breaker(struct breaker *breaker, const struct breaker_options *options, uint64_t retry_after_ns,
			 uint64_t now_ns)
{
	uint64_t ceiling_ns = options->first_wait_ns, wait_ns;

	for (unsigned i = 0; i < breaker->waits && ceiling_ns < options->max_wait_ns; i++)
		ceiling_ns *= 2;
	if (ceiling_ns > options->max_wait_ns)
		ceiling_ns = options->max_wait_ns;
	wait_ns = ceiling_ns - ceiling_ns / 2 + backoff_ns(ceiling_ns / 2, ceiling_ns / 2, 1, 0);
	if (retry_after_ns > BACKOFF_RETRY_AFTER_MAX_NS)
		retry_after_ns = BACKOFF_RETRY_AFTER_MAX_NS;
	breaker->waits++;
	breaker->state = BREAKER_OPEN;
	breaker->until_ns = now_ns + (wait_ns > retry_after_ns ? wait_ns : retry_after_ns);
}

bool breaker_end(struct breaker *breaker, const struct breaker_options *options, bool probe, enum breaker_result result,
		 uint64_t retry_after_ns, uint64_t now_ns)
{
	const bool was_closed = breaker->state == BREAKER_CLOSED;

	if (probe)
		breaker->probing = false;
	if (result == BREAKER_SUCCESS) {
		breaker->state = BREAKER_CLOSED;
		breaker->failures = breaker->waits = 0;
		return !was_closed;
	}
	if (result == BREAKER_NO_RESULT || (!was_closed && !probe))
		return false; /* half-open without an attempt: the next one may begin */
	if (was_closed && (!options->failures || ++breaker->failures < options->failures))
		return false;
	open_breaker(breaker, options, retry_after_ns, now_ns);
	if (was_closed) {
		breaker->opened_ns = now_ns;
		breaker->open_count++;
	}
	return was_closed;
}
