/* SPDX-License-Identifier: BSD-2-Clause */
/* What the server's files share; nobody else includes it. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/log.h"
#include "http/http_peer.h"
#include "http/http_server.h"
#include "http/http_target.h"

struct event;
struct http_connection;
struct http_socket_file;

/* One way in: libmicrohttpd's daemon and the socket we accept from. */
struct http_endpoint {
	struct http_server *server;
	struct MHD_Daemon *mhd;
	bool tcp, tls;
	int listener;			     /* -1: none */
	struct event *accept_event;	     /* on `listener` */
	struct event *pause;		     /* starts accepting again after the process ran out of something */
	struct event *ready;		     /* on libmicrohttpd's own epoll */
	struct event *timer;		     /* its next time-out, or: run it soon */
	bool scheduled;			     /* soon it is */
	struct http_connection *being_added; /* being handed to libmicrohttpd; it takes it when told of the start */
	struct http_connection *first_connection; /* all of this side */
	size_t connections;
};

struct http_server {
	struct event_base *loop;
	const struct http_route *routes;
	size_t route_count;
	void *ctx;
	char *token; /* NULL: no TCP */
	struct http_socket_file *socket;
	struct http_endpoint local, remote;
	size_t sse_count;
	unsigned request_timeout_ms, idle_timeout_s, heartbeat_ms, connections;
	bool stopping;
	char mhd_error[256]; /* libmicrohttpd's last word while it starts */
	struct log_rate refusals, failures;
};

/* --- http_connection.c --- */

struct http_connection {
	struct http_connection *next, *previous;
	struct http_endpoint *endpoint;
	struct MHD_Connection *mhd; /* NULL: not handed over yet */
	int fd;			    /* libmicrohttpd's */
	struct http_peer peer;
	struct event *activity; /* bytes, and the peer's end */
	struct event *deadline; /* the request must have arrived by then */
	bool idle;		/* between requests */
	bool becoming_idle;	/* will be idle when `deadline` is called, at once */
	bool suspended;
	bool gone;		      /* the peer has closed, or we have given up on it */
	struct http_request *request; /* not owned; NULL: none under way */
};

/* Loop. 0 or a negative errno; the socket belongs to the connection or is closed. */
warn_unused int http_connection_start(struct http_endpoint *endpoint, int fd, const struct http_peer *peer);

void http_connection_request_started(struct http_connection *connection); /* a request's first line is here */
void http_connection_request_received(struct http_connection *connection);
void http_connection_request_done(struct http_connection *connection); /* the answer is out */

/* From within libmicrohttpd's callbacks: nothing happens on this connection until it is woken. */
void http_connection_suspend(struct http_connection *connection);
void http_connection_wake(struct http_connection *connection); /* from anywhere, also if it isn't suspended */

/* For libmicrohttpd: told when a connection starts and ends. ctx: the side. */
void http_connection_notify(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
			    enum MHD_ConnectionNotificationCode what);

/* --- http_request.c --- */

struct http_request {
	unsigned references; /* libmicrohttpd until the request is completed, the handler until it answers */
	struct http_server *server;
	struct http_connection *connection; /* NULL: gone */
	char *raw_target;
	const char *raw_target_address; /* where it was in libmicrohttpd's buffer; never read */
	char *peer;
	struct http_target target;
	const struct http_route *route;
	struct buffer body;
	bool checked, dispatched;
	void (*gone)(void *ctx);
	void *on_gone_ctx;
	struct MHD_Response *answer; /* prepared, not yet queued */
	unsigned status;
};

/* libmicrohttpd's callbacks. ctx: the side. */
void *http_request_line(void *ctx, const char *target, struct MHD_Connection *mhd);
enum MHD_Result http_request_access(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
				    const char *version, const char *upload, size_t *upload_size, void **request_ctx);
void http_request_completed(void *ctx, struct MHD_Connection *mhd, void **request_ctx,
			    enum MHD_RequestTerminationCode why);

void http_request_release(struct http_request *request);

/* --- http_answer.c --- */

/*
 * Takes the response (NULL: out of memory, 500 if that can be made) as the request's answer, releases the handler's
 * hold, and wakes the connection.
 */
void http_answer_response(struct http_request *request, unsigned status, struct MHD_Response *response);

/* Whether an answer would reach anybody. */
bool http_request_is_answerable(const struct http_request *request);

struct MHD_Response *http_error_response(const char *text);

/* Headers that every answer carries. False: out of memory. */
bool http_response_add_headers(struct MHD_Response *response, const char *type);

/* The server's own, before any handler: the connection closes after it. */
void http_refuse(struct http_request *request, unsigned status, const char *text, const char *header,
		 const char *value);

/* The server ends: what is still to be answered gets 503. */
void http_answer_unavailable(struct http_request *request);

/* --- http_server.c --- */

void http_endpoint_schedule(
	struct http_endpoint *endpoint); /* libmicrohttpd has something to do; it is run from the loop, soon */
