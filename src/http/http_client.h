/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP for the sinks that need it: one libcurl multi handle on the event loop. Settings common to all transfers are
 * made here (TLS, time limits, no redirects, no cookies, HTTP/1.1, a cap on the answer); a sink sets its own (URL,
 * body, headers) on the transfer's easy handle. All calls on the loop's thread; none blocks. libcurl resolves names on
 * its own threads.
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

#define HTTP_REPLY_BYTES_MAX (64 * 1024) /* of an answer's body; the rest is not read */

struct http_client_options {
	bool https;			  /* the only protocol allowed: https, else http */
	bool verify;			  /* TLS: certificate and host name */
	const char *ca_file;		  /* NULL or "": the system's authorities */
	const char *cert_file, *key_file; /* the client's own, PEM; NULL or "": none */
	uint64_t timeout_ns;		  /* for the whole transfer; 0: none */
	uint64_t min_speed;		  /* bytes a second, sent and received together, over any window; 0: 1 KiB/s */
	uint64_t window_ns;		  /* 0: 60 s. A slower transfer ends with CURLE_OPERATION_TIMEDOUT */
};

/* A transfer's result; valid during the callback. */
struct http_reply {
	CURLcode result;
	const char *error;	 /* libcurl's text, or "". May contain parts of the URL */
	bool no_descriptors;	 /* the process has none left, whatever libcurl made of that; `error` says so */
	long status;		 /* 0: no answer */
	const char *body;	 /* NUL-terminated; never NULL */
	size_t body_size;	 /* at most HTTP_REPLY_BYTES_MAX */
	uint64_t retry_after_ns; /* 0: not given */
	const char *redirect;	 /* the target of a 3xx; NULL: none */
};

/* Called once, from the loop. May free the transfer, but not the client. */
typedef void (*http_transfer_done)(void *ctx, const struct http_reply *reply);

/* Options are copied. NULL on ENOMEM. */
struct http_client *http_client_new(struct event_base *loop, const struct http_client_options *options);
void http_client_free(struct http_client *client); /* all transfers must be freed before */

/* NULL on ENOMEM. The caller sets its own options on the easy handle, then starts the transfer. */
struct http_transfer *http_transfer_new(struct http_client *client, http_transfer_done done, void *ctx);
CURL *http_transfer_easy(struct http_transfer *transfer);
warn_unused int http_transfer_start(struct http_transfer *transfer); /* 0 or -ENOMEM; never calls `done` */
void http_transfer_free(struct http_transfer *transfer);	     /* at any time; `done` is not called afterwards */

/* Whether the answer's body had more than HTTP_REPLY_BYTES_MAX bytes. */
bool http_reply_oversized(const struct http_reply *reply);

CLEANUP_DEFINE(http_transfer, struct http_transfer, http_transfer_free)
