/* SPDX-License-Identifier: BSD-2-Clause */
/* The captures of this node for queries: the live ones and the latest finished ones. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"

struct reply_cache;
struct job_table;

struct capture_view {
	const char *id;		   /* the request's */
	const char *capture;	   /* NULL: the request was refused before there was one */
	const char *interface;	   /* NULL: likewise */
	const char *state;	   /* "arming" "running" "delivering" "done" "failed" "rejected" */
	const struct event *event; /* the latest; NULL: none so far */
	uint64_t packets, bytes;   /* so far */
	uint64_t ends_ns;	   /* real time: the latest end; 0: ended, or unknown */
	bool streamed;		   /* sent while it runs */
	uint64_t delivered;	   /* of such a file: bytes that every destination has taken */
};

/* The view is valid during the call. */
typedef void (*capture_visitor)(void *ctx, const struct capture_view *view);

/* All captures, those of the newest requests first. */
void capture_list_visit_all(const struct job_table *table, const struct reply_cache *reply_cache, capture_visitor visit,
			    void *ctx);

/* A request's captures, or the capture with this id. Returns their number. */
size_t capture_list_visit(const struct job_table *table, const struct reply_cache *reply_cache, const char *id,
			  capture_visitor visit, void *ctx);

/* Stops a request's captures, or the capture with this id. Returns how many; 0: all have ended; -ENOENT: unknown. */
int capture_list_stop(const struct job_table *table, const struct reply_cache *reply_cache, const char *id);
