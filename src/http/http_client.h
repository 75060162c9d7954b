/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP for the sinks that speak it: one libcurl multi handle on the event loop. What is the same for every transfer is
 * set here (TLS, time limits, no redirects, no cookies, HTTP/1.1, a cap on the answer); what is a sink's own (URL,
 * body, headers) it sets on the transfer's easy handle. All calls on the loop's thread; none blocks, names are resolved
 * on libcurl's own threads.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct event_base;
struct http_client;
struct http_transfer;

#define HTTP_REPLY_BYTES_MAX (64 * 1024) /* bytes of an answer's body; what follows is not read */

struct http_client_options {
	bool https;	     /* the one protocol that is allowed: https, else http */
	bool verify;	     /* TLS: certificate and host name */
	const char *ca_file; /* NULL or "": the system's */
	uint64_t timeout_ns; /* for the whole transfer; 0: none */
	uint64_t stall_ns;   /* less than 1 byte/s for so long ends it; 0: 60 s. Whole seconds, rounded up */
};

/* What came of a transfer; valid during the callback. */
struct http_reply {
	CURLcode result;
	const char *error;	 /* libcurl's text; "" if there is none. May hold parts of the URL */
	long status;		 /* 0: no answer came */
	const char *body;	 /* NUL-terminated; never NULL */
	size_t body_size;	 /* at most HTTP_REPLY_BYTES_MAX */
	uint64_t retry_after_ns; /* 0: not given */
	const char *redirect;	 /* where a 3xx points to; NULL: nowhere */
};

/* Called once, from the loop. The transfer may be freed in it, the client not. */
typedef void (*http_transfer_done)(void *ctx, const struct http_reply *reply);

/* Options are copied. NULL on ENOMEM. */
struct http_client *http_client_new(struct event_base *loop, const struct http_client_options *options);
void http_client_free(struct http_client *client); /* every transfer must be gone */

/* NULL on ENOMEM. The caller sets what is his on the easy handle, then starts it. */
struct http_transfer *http_transfer_new(struct http_client *client, http_transfer_done done, void *ctx);
CURL *http_transfer_easy(struct http_transfer *transfer);
warn_unused int http_transfer_start(struct http_transfer *transfer); /* 0 or -ENOMEM; `done` never comes from within */
void http_transfer_free(struct http_transfer *transfer);	     /* at any time; `done` is not called any more */

/* Whether the answer had more than HTTP_REPLY_BYTES_MAX bytes. */
bool http_reply_oversized(const struct http_reply *reply);

CLEANUP_DEFINE(http_transfer, struct http_transfer, http_transfer_free)
