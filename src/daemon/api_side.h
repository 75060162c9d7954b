/*
 * The daemon's control API. A socket that nobody asked for may be another daemon's, or in a place we may not write to:
 * captures work without, and it is tried again until it is ours. Loop thread.
 */
#pragma once

#include "api/api.h"
#include "base/cleanup.h"
#include "base/error.h"

struct event;

struct api_side {
	struct api_options options;
	struct api *api;     /* NULL: none is wanted, or none could be had yet */
	struct event *retry; /* NULL: one is not tried again */
};

/* 0; or an error if the configuration asks for what cannot be had. To be released either way. */
warn_unused int api_side_init(struct api_side *side, const struct api_options *options, struct error *err);
void api_side_stop(struct api_side *side);   /* what goes on for long ends */
void api_side_deinit(struct api_side *side); /* also more than once */
