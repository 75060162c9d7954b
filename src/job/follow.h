/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests with `follow`: interfaces that appear (are made, or come up) while such a job runs join its captures. Loop
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct event_base;
struct follow;
struct follower;
struct network_interface;
struct targets;

/* An interface that the follower has not had before, or not with this link type, is up. Returns whether the follower
 * has it now; if not, it is offered again later. */
typedef bool (*follow_appeared)(void *ctx, const struct network_interface *interface);

/* NULL on ENOMEM. */
struct follow *follow_new(struct event_base *loop);
void follow_free(struct follow *follow); /* no follower may be left; NULL is fine */

/* Follows from now on; the targets are what it has. The calls begin later. NULL on ENOMEM, or if the kernel gives no
 * socket for its notices. */
struct follower *follow_begin(struct follow *follow, const struct targets *targets, follow_appeared appeared,
			      void *ctx);
void follow_end(struct follower *follower); /* also within `appeared`; NULL is fine */

/* Looks at the interfaces soon: the follower may now take one that it could not take before. */
void follow_look(struct follow *follow);

CLEANUP_DEFINE(follow, struct follow, follow_free)
