/* SPDX-License-Identifier: BSD-2-Clause */
/* redis[s]://[user:password@]host[:port][/channel][?name=value&…] → where the fleet's Redis is. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "pcapctl/fleet/fleet_target.h"

#define REDIS_URL_MAX 8192 /* bytes */

/*
 * Strict: what is not understood is refused, with a suggestion; nothing of the user or password gets into `err`.
 * 0, -EINVAL or -ENOMEM. On 0 the target is the caller's (fleet_target_free).
 */
warn_unused int redis_url_parse(const char *url, struct fleet_target **target, struct error *err);
