/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of this host that a request means now. Loop thread. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "job/capture.h"
#include "job/interfaces.h"
#include "request/request.h"

struct config_requests;
struct engine;

struct targets {
	struct interface_list up; /* the interfaces of "any": names point into it */
	struct capture_target items[REQUEST_INTERFACES_MAX];
	size_t count;
};

/*
 * Fills `targets` (zeroed) with each interface once, in the request's order ("any": those that are allowed); names
 * belong to the request or `up`. 0, or with `err`: -ENODEV (an interface does not exist and no recorder has its
 * history), -E2BIG, other -errno. Deinit either way.
 */
warn_unused int targets_find(const struct request *request, const struct config_requests *allowed,
			     struct engine *engine, struct targets *targets, struct error *err);
/* Whether this host has the interface or a recorder has its history. 0, -ENODEV with `err` and a suggestion, or another
 * -errno with `err`. */
warn_unused int targets_check(const char *interface, struct engine *engine, struct error *err);

void targets_deinit(struct targets *targets);
