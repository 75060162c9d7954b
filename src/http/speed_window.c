/* SPDX-License-Identifier: BSD-2-Clause */
/* The oldest sample is one window old when the next one takes its place. */
#include "http/speed_window.h"

#include "base/clock.h"

bool speed_window_is_slow(struct speed_window *window, uint64_t bytes, uint64_t *recent)
{
	uint64_t *oldest = &window->sampled[window->samples++ % SPEED_WINDOW_SAMPLES];
	const uint64_t before = *oldest; /* 0: the transfer is younger than a window */
	const double wanted = (double)window->min_speed * (double)window->window_ns / (double)NS_PER_S;

	*oldest = bytes;
	*recent = bytes > before ? bytes - before : 0;
	return window->samples >= SPEED_WINDOW_SAMPLES && (double)*recent < wanted;
}
