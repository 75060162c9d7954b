/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Alert storms: one event that is reported a hundred times shall not make a hundred captures. Pure but for its memory;
 * loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "request/request.h"

struct config;
struct dedupe;

#define DEDUPE_EVENTS_MAX 4096 /* events remembered for their cooldown; the oldest are forgotten first */

struct dedupe *dedupe_new(const struct config *config);
void dedupe_free(struct dedupe *dedupe);

/*
 * The request that this one repeats: same dedupe key (or alertid and customer), the same packets to the same
 * destinations, taken less than the cooldown before `now_ns` (boot time). NULL: none.
 */
const char *dedupe_find(const struct dedupe *dedupe, const struct request *request, uint64_t now_ns);

/* The request was taken: its cooldown begins. Without a key nothing is remembered. */
void dedupe_remember(struct dedupe *dedupe, const struct request *request, uint64_t now_ns);

/* A repetition of it was folded in: its cooldown begins again. */
void dedupe_renew(struct dedupe *dedupe, const struct request *request, uint64_t now_ns);

CLEANUP_DEFINE(dedupe, struct dedupe, dedupe_free)
