/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of a request that could not take part, and why. Loop thread. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "event/event.h"

#define SKIPPED_LISTED_MAX 1024	     /* more are counted only */
#define SKIPPED_REASON_MAX 255	     /* bytes; longer reasons are cut */
#define SKIPPED_TEXT_MAX (48u << 10) /* bytes: fits into a comment of a file */

#define SKIPPED_LIMIT_TEXT "limit" /* the reason of interfaces beyond the limit for a request or a capture */

struct skipped {
	struct event_skipped *items; /* `listed` of them */
	char **texts;		     /* what they point to */
	size_t listed, total;
};

/* Adds one. The reason for -ENODEV is "gone", for -ENOMEM "memory", otherwise `text`. Out of memory, it is counted but
 * not listed. */
void skipped_add(struct skipped *skipped, const char *interface, int code, const char *text);
void skipped_add_all(struct skipped *skipped, const struct skipped *more);
void skipped_deinit(struct skipped *skipped);

/* "eth1, eth2 (gone), tun0 (bpf: …)": for people. Caller frees; NULL: none, or out of memory. */
char *skipped_text(const struct skipped *skipped);
