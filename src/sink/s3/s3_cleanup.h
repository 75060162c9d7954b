/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ends multipart uploads that will not be completed, since the service keeps (and bills) their parts. Best effort: each
 * has a few seconds; what is left then is logged, and the bucket's own rules have to remove it. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct event_base;
struct s3_cleanup;
struct s3_client;
struct s3_target;

#define S3_CLEANUPS_MAX 64 /* at a time */

/* The client must outlive it. NULL on ENOMEM. */
struct s3_cleanup *s3_cleanup_new(struct event_base *loop, struct s3_client *client);
void s3_cleanup_free(struct s3_cleanup *cleanup);

/*
 * Aborts an upload; `upload_id` NULL: all uploads of the key, for one whose id never arrived. `done` (or NULL) is
 * called once, from the loop, when that was tried. Texts are copied. 0, or -errno: nothing is done.
 */
warn_unused int s3_cleanup_start(struct s3_cleanup *cleanup, const struct s3_target *target, const char *key,
				 const char *upload_id, void (*done)(void *ctx), void *ctx);

/* No `done` with this ctx is called any more. */
void s3_cleanup_forget(struct s3_cleanup *cleanup, const void *ctx);

bool s3_cleanup_is_busy(const struct s3_cleanup *cleanup);

CLEANUP_DEFINE(s3_cleanup, struct s3_cleanup, s3_cleanup_free)
