/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The audit log: one line for each request that is for this node, with who asked, for what, and the limits. Refusals
 * and folded requests, which a publisher can cause at any rate, are limited; the next line has the number of those
 * suppressed. Loop thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct event;
struct event_limits;
struct request;

/* Sets the request's `origin`, `filter_shown` and `inner_shown`, once its rules are set. Without memory they stay
 * NULL. */
void audit_describe(struct request *request, const char *origin);

struct event_limits audit_limits(const struct request *request);

/* `captures`: how many start. `folded_into`: the request that it extends instead; NULL: none. */
void audit_admitted(const struct request *request, size_t captures, const char *folded_into);

/* A request that ended captures, perhaps none. */
void audit_stopped(const struct request *request, uint64_t captures);

/* `request` NULL: it could not be read; `refusal` is its `rejected` event. */
void audit_refused(const struct request *request, const struct event *refusal);
