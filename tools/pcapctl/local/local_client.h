/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of one daemon's control API, over its unix socket or TCP. One thread; several calls may be in progress. */
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
	const char *text;   /* a body that may be no JSON; NULL: none */

	/*
	 * Takes the bytes of a successful answer as they arrive; false ends the call. NULL: the answer is kept, as
	 * JSON.
	 */
	bool (*put)(void *ctx, const char *bytes, size_t size);
	void *ctx;
};

/* `target` must outlive the client. NULL with the text in `err`. */
struct local_client *local_client_new(const struct command_target *target, struct error *err);
void local_client_free(struct local_client *client);

/* NULL with the text in `err`. local_call_free ends the call; the client must outlive it. */
struct local_call *local_call_start(struct local_client *client, const struct local_call_request *request,
				    struct error *err);
void local_call_free(struct local_call *call);

/* A paused call takes no bytes of its answer: the daemon has to wait. */
void local_call_pause(struct local_call *call, bool paused);

/* local_client_run also returns when `fd` (-1: none) is broken or, with `for_room`, can be written to. */
void local_client_watch_output(struct local_client *client, int fd, bool for_room);

/*
 * Drives all calls; returns when one has finished, after `timeout_ms`, or once `fd` (-1: none) is readable. Blocks. 0
 * or -errno with the text in `err`.
 */
warn_unused int local_client_run(struct local_client *client, int timeout_ms, int fd, struct error *err);
bool local_call_finished(const struct local_call *call);

/*
 * For a finished call: the HTTP status with the answer in `*json` (the call's; NULL: not JSON), or -errno with the text
 * in `err` if there is no valid answer. The caller handles statuses from 300 on, with local_call_refusal.
 */
warn_unused int local_call_result(struct local_call *call, const json_t **json, struct error *err);

/* The answer's "error", made printable, with advice for its status. */
void local_call_refusal(const struct local_call *call, int status, struct error *err);

/* The file name from Content-Disposition, "" if there was none; untrusted. */
const char *local_call_file_name(const struct local_call *call);

/* Makes a whole call. Blocks. 0 with the answer (the caller's reference), or -errno with the text in `err`. */
warn_unused int local_call_json(struct local_client *client, const struct local_call_request *request, json_t **json,
				struct error *err);

/* Appends `text` percent-encoded, for paths and queries. 0 or the error of buffer_append. */
struct buffer;
warn_unused int url_encode(struct buffer *path, const char *text);

CLEANUP_DEFINE(local_client, struct local_client, local_client_free)
CLEANUP_DEFINE(local_call, struct local_call, local_call_free)
