/* SPDX-License-Identifier: BSD-2-Clause */
/* Which interfaces of this host a request means, right now. Loop thread. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "job/capture.h"
#include "job/interfaces.h"
#include "request/request.h"

struct engine;

struct targets {
	struct interface_list up; /* what "any" stands for: names point into it */
	struct capture_target items[REQUEST_INTERFACES_MAX];
	size_t count;
};

/*
 * Fills `targets` (zeroed), each interface once, in the request's order; names are the request's or the list's. 0,
 * -ENODEV (an interface does not exist, nor does a recorder hold its history), -E2BIG, other -errno, with `err`. Deinit
 * either way.
 */
warn_unused int targets_find(const struct request *request, struct engine *engine, struct targets *targets,
			     struct error *err);
/* This host has the interface, or a recorder holds its history. 0, -ENODEV with `err` (and what may be meant), or
 * another -errno. */
warn_unused int targets_check(const char *interface, struct engine *engine, struct error *err);

void targets_deinit(struct targets *targets);
