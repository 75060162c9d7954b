/* SPDX-License-Identifier: BSD-2-Clause */
/* The control API of one daemon, over its unix socket or TCP. One thread; several calls may be under way. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct local_call;
struct local_client;
struct command_target;

#define LOCAL_REPLY_MAX ((size_t)16 << 20) /* bytes of a JSON answer */
#define LOCAL_NAME_SIZE 256

struct local_call_request {
	const char *method; /* "GET" … */
	const char *path;   /* "/v1/…", encoded */
	const json_t *body; /* NULL: none */

	/* Takes a good answer's bytes as they come, where they are not JSON; false ends the call. NULL: kept as JSON.
	 */
	bool (*put)(void *ctx, const char *bytes, size_t size);
	void *ctx;
};

/* `target` must outlive it. NULL with the text in `err`. */
struct local_client *local_client_new(const struct command_target *target, struct error *err);
void local_client_free(struct local_client *client);

/* NULL with the text in `err`. The call is ended by local_call_free; the client outlives it. */
struct local_call *local_call_start(struct local_client *client, const struct local_call_request *request,
				    struct error *err);
void local_call_free(struct local_call *call);

/* Moves on all calls; returns when one is over, after `timeout_ms`, or once `fd` (-1: none) is readable. Blocks. 0 or
 * -errno. */
warn_unused int local_client_run(struct local_client *client, int timeout_ms, int fd, struct error *err);
bool local_call_finished(const struct local_call *call);

/*
 * Of a call that is over: the status (200 …) with the answer in `*json` (the call's; NULL where it was no JSON), or
 * -errno with the text in `err`: no answer, or none that can be. Answers beyond 299 are the caller's to judge:
 * local_call_refusal.
 */
warn_unused int local_call_result(struct local_call *call, const json_t **json, struct error *err);

/* "error" of the answer, printable, with what can be done about its status. */
void local_call_refusal(const struct local_call *call, int status, struct error *err);

/* File name of Content-Disposition, "" if there was none; not to be trusted. */
const char *local_call_file_name(const struct local_call *call);

/* Start, wait, result, refusal: 0 with the answer (caller's reference), or -errno with the text in `err`. */
warn_unused int local_call_json(struct local_client *client, const struct local_call_request *request, json_t **json,
				struct error *err);

/* Appends `text` percent-encoded, for paths and queries. 0 or what buffer_append says. */
struct buffer;
warn_unused int url_encode(struct buffer *path, const char *text);

CLEANUP_DEFINE(local_client, struct local_client, local_client_free)
CLEANUP_DEFINE(local_call, struct local_call, local_call_free)
