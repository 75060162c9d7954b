/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A delivery of a file that still grows, to all its destinations at once. An attempt that fails begins again only as
 * long as the file's first byte is in memory (base/growing_bytes.h); later the destination has failed, with what it had
 * got by then. All calls on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "sink/delivery.h"

struct growing_bytes;
struct stream_delivery;

/* A destination that could have bytes and takes none for this long, or for limits.retry if that is shorter, fails. */
#define STREAM_STALL_NS (30 * (uint64_t)1000000000)

/* Strings are the caller's and must live until `done`, like the bytes. */
struct stream_file {
	const char *name, *tags, *comment, *id, *capture; /* as in struct sink_file */
	struct growing_bytes *bytes;
};

/* Waits for stream_delivery_more(). `destinations` as in delivery_start(), and each can take files that grow. `done` as
 * there, once the file has ended and every destination has it or has failed. NULL on ENOMEM. */
struct stream_delivery *stream_delivery_new(struct deliveries *deliveries, const struct stream_file *file,
					    char *const *destinations, size_t destination_count, delivery_done done,
					    void *ctx);

/* The bytes have grown, or ended. The first call starts the attempts. */
void stream_delivery_more(struct stream_delivery *delivery);

/* Now and then: fails destinations that take nothing. `memory_spent`: the file waits for memory, so one that is only
 * waiting to begin again fails if others can go on then. */
void stream_delivery_check(struct stream_delivery *delivery, bool memory_spent);

/* Whether every destination has failed: there is no use in more bytes. */
bool stream_delivery_is_hopeless(const struct stream_delivery *delivery);

/* Bytes that every destination has taken, except those that have failed. */
uint64_t stream_delivery_delivered(const struct stream_delivery *delivery);

/* Cancels running attempts; they report `error`. Calls `done` before it returns. */
void stream_delivery_abandon(struct stream_delivery *delivery, const char *error);

/* Cancels it without a report. NULL is fine. */
void stream_delivery_free(struct stream_delivery *delivery);

CLEANUP_DEFINE(stream_delivery, struct stream_delivery, stream_delivery_free)
