/*
 * Alert storms: one event that is reported a hundred times shall not make a hundred captures, and one customer shall
 * not take what all others need. Pure but for its memory; loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "request/request.h"

struct config;
struct storm;

#define STORM_KEYS_MAX 4096	 /* events remembered for their cooldown; the oldest are forgotten first */
#define STORM_CUSTOMERS_MAX 4096 /* customers with a rate of their own; likewise, those that were quiet longest */

struct storm *storm_new(const struct config *config);
void storm_free(struct storm *storm);

/* Within the customer's limits? Takes one of the customer's requests of this second. 0, or -EDQUOT with `err`.
 * `running`: the customer's captures, `more`: those that would be started. */
warn_unused int storm_admit_customer(struct storm *storm, const char *customer, uint64_t running, size_t more,
				     uint64_t now_ns, struct error *err);

/*
 * The request that this one repeats: same dedupe key (or alertid and customer), the same packets to the same
 * destinations, taken less than the cooldown before `now_ns` (boot time). NULL: none.
 */
const char *storm_find(const struct storm *storm, const struct request *request, uint64_t now_ns);

/* The request was taken: its cooldown begins. Without a key nothing is remembered. */
void storm_note(struct storm *storm, const struct request *request, uint64_t now_ns);

/* A repetition of it was folded in: its cooldown begins again. */
void storm_renew(struct storm *storm, const struct request *request, uint64_t now_ns);

CLEANUP_DEFINE(storm, struct storm, storm_free)
