/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's control API. If the default socket is in use by another daemon, or its directory is not writable,
 * captures work without it, and opening it is retried. Loop thread.
 */
#pragma once

#include "api/api.h"
#include "base/cleanup.h"
#include "base/error.h"

struct event;

struct api_setup {
	struct api_options options;
	struct api *api;     /* NULL: not configured, or not open yet */
	struct event *retry; /* NULL: no retries */
};

/* 0, or an error if what is configured cannot be opened. Call api_setup_deinit() either way. */
warn_unused int api_setup_init(struct api_setup *setup, const struct api_options *options, struct error *err);
void api_setup_stop(struct api_setup *setup);	/* ends long-lived answers */
void api_setup_deinit(struct api_setup *setup); /* may be called again */
