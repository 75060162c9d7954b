/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's signals, on the loop. Every signal that would end the process, and does not mean a crash, asks for a
 * stop; SIGHUP is logged and ignored, since there is no reload; SIGUSR1 asks for the status. Loop thread.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

struct event_base;
struct signals;

struct signal_handler {
	void (*stop)(void *ctx, const char *name, bool insisting); /* insisting: by a person or a service manager */
	void (*status)(void *ctx);
	void *ctx;
};

/* NULL on ENOMEM. */
struct signals *signals_new(struct event_base *loop, const struct signal_handler *handler);

/* Nothing happens on a signal any more, not even the end of the process. */
void signals_block(void);
void signals_free(struct signals *signals);

CLEANUP_DEFINE(signals, struct signals, signals_free)
