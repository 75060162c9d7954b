/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of this host that a request means now. Loop thread. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/network_interface.h"
#include "job/capture.h"
#include "job/interfaces.h"
#include "job/skipped.h"
#include "request/request.h"

struct config_requests;
struct engine;
struct interface_rules;

struct targets {
	struct interface_list up; /* the interfaces of "any" */
	struct capture_target items[REQUEST_INTERFACES_MAX];
	size_t count;
	struct skipped skipped; /* interfaces that are up, but cannot take part */
};

/*
 * Fills `targets` (zeroed) with each device once, in the request's order, under its own name ("any": those that are
 * allowed; what is beyond the limit for a request is skipped). 0, or with `err`: -ENODEV (an interface does not exist
 * and no recorder has its history), -EACCES (it, or none of "any", is allowed), other -errno. Deinit either way.
 */
warn_unused int targets_find(const struct request *request, const struct config_requests *allowed,
			     struct engine *engine, struct targets *targets, struct error *err);
/* What has this name: a device, or an interface that is away and whose history a recorder has. 0, -ENODEV with `err`
 * and a suggestion, -EACCES with `err`, or another -errno with `err`. */
warn_unused int targets_find_interface(const char *name, const struct interface_rules *rules,
				       struct engine_target *target, struct error *err);

/* The same without rules. 0, -ENODEV or another -errno; then `target` is as it was. */
int targets_look_up(const char *name, struct engine *engine, struct engine_target *target);

void targets_deinit(struct targets *targets);
