/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses redis[s]://[user[:password]@]host[:port][/channel][?name=value&…]. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "pcapctl/fleet/fleet_target.h"

#define REDIS_URL_MAX 8192 /* bytes */

/*
 * Strict: refuses what it does not understand, with a suggestion. `err` never holds the user or password. 0, -EINVAL or
 * -ENOMEM. On 0 the target is the caller's (fleet_target_free).
 */
warn_unused int redis_url_parse(const char *url, struct fleet_target **target, struct error *err);
