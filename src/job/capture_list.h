/* SPDX-License-Identifier: BSD-2-Clause */
/* The captures of this node as people ask for them: those that live, and the latest that have ended. Loop thread. */
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
	const struct event *event; /* the latest about it; NULL: none so far */
	uint64_t packets, bytes;   /* as of now */
	uint64_t ends_ns;	   /* real time: when it ends at the latest; 0: it has ended, or nobody knows */
};

/* The view is valid during the call. */
typedef void (*capture_visitor)(void *ctx, const struct capture_view *view);

/* All, the newest requests first. */
void capture_list_visit_all(const struct job_table *table, const struct reply_cache *reply_cache, capture_visitor visit,
			    void *ctx);

/* Those of one request, or the one of this id. Returns how many there are. */
size_t capture_list_visit(const struct job_table *table, const struct reply_cache *reply_cache, const char *id,
			  capture_visitor visit, void *ctx);

/* Ends those of one request, or the one of this id, early. Returns how many; 0: all have ended; -ENOENT: unknown. */
int capture_list_stop(const struct job_table *table, const struct reply_cache *reply_cache, const char *id);
