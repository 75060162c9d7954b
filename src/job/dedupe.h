/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recognises repeated alerts, so that one alert reported a hundred times does not start a hundred captures. Loop
 * thread.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "request/request.h"

struct config;
struct dedupe;

#define DEDUPE_ALERTS_MAX 4096 /* remembered for their cooldown; the oldest are forgotten first */

struct dedupe *dedupe_new(const struct config *config);
void dedupe_free(struct dedupe *dedupe);

/*
 * The id of the request that this one repeats: the same dedupe key (or alertid and customer), the same packets and
 * destinations, admitted or repeated less than the cooldown before `now_ns` (boot time). NULL: none.
 */
const char *dedupe_find(const struct dedupe *dedupe, const struct request *request, uint64_t now_ns);

/* The request was admitted: its cooldown begins. Without a key nothing is remembered. */
void dedupe_remember(struct dedupe *dedupe, const struct request *request, uint64_t now_ns);

/* The request was put off: the next try is no repetition of it. */
void dedupe_forget(struct dedupe *dedupe, const struct request *request);

/* A repetition was folded in: the cooldown begins again. */
void dedupe_renew(struct dedupe *dedupe, const struct request *request, uint64_t now_ns);

CLEANUP_DEFINE(dedupe, struct dedupe, dedupe_free)
