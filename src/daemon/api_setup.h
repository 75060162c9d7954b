/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's control API. A socket that nobody asked for may be another daemon's, or in a place we may not write to:
 * captures work without, and it is tried again until it is ours. Loop thread.
 */
#pragma once

#include "api/api.h"
#include "base/cleanup.h"
#include "base/error.h"

struct event;

struct api_setup {
	struct api_options options;
	struct api *api;     /* NULL: none is wanted, or none could be had yet */
	struct event *retry; /* NULL: one is not tried again */
};

/* 0; or an error if the configuration asks for what cannot be had. To be released either way. */
warn_unused int api_setup_init(struct api_setup *setup, const struct api_options *options, struct error *err);
void api_setup_stop(struct api_setup *setup);	/* what goes on for long ends */
void api_setup_deinit(struct api_setup *setup); /* also more than once */
