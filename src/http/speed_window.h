/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a transfer is too slow. libcurl's own limit starts anew with every short burst; this one holds for each whole
 * window. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SPEED_WINDOW_SAMPLES 6 /* of a window; a slow transfer is noticed after one window and one sample at most */

struct speed_window {
	uint64_t min_speed, window_ns;		/* bytes a second over any window */
	uint64_t sampled[SPEED_WINDOW_SAMPLES]; /* bytes by then, the latest ones */
	unsigned samples;
};

/*
 * To be called every window_ns / SPEED_WINDOW_SAMPLES, with all bytes since the transfer began. True: too slow, and
 * `recent` tells the bytes of the last window.
 */
bool speed_window_is_slow(struct speed_window *window, uint64_t bytes, uint64_t *recent);
