/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the server's files; no other file includes it. */
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
#include "net/connection_slots.h"

struct event;
struct http_connection;
struct http_socket_file;
struct tls_server;
struct secret;

/* One kind of connection: libmicrohttpd's daemon and the socket we accept from. */
struct http_endpoint {
	struct http_server *server;
	struct MHD_Daemon *mhd;
	bool tcp;
	int listener;		    /* -1: none */
	struct event *accept_event; /* on `listener` */
	struct event *pause;	    /* resumes accepting after the process ran out of a resource */
	struct event *ready;	    /* on libmicrohttpd's own epoll */
	struct event *timer;	    /* libmicrohttpd's next time-out, or at once if `scheduled` */
	bool scheduled;
	struct http_connection *being_added;	  /* handed over to libmicrohttpd, start notification pending */
	struct http_connection *first_connection; /* of this endpoint's list */
	size_t connections;
};

struct http_server {
	struct event_base *loop;
	const struct http_route *routes;
	size_t route_count;
	void *ctx;
	struct http_guests guests;
	struct secret *token, *own_token; /* NULL: no TCP; own_token: to be freed, or NULL */
	struct tls_server *tls;		  /* for TCP; NULL: no TLS */
	struct connection_slots *slots;	  /* of TCP connections */
	struct http_socket_file *socket;
	char *socket_path, *socket_group; /* to make it again */
	struct event *socket_check;
	struct http_endpoint local, remote;
	size_t sse_count;
	uint64_t refused[HTTP_REFUSAL_COUNT];
	unsigned request_timeout_ms, login_timeout_ms, idle_timeout_s, heartbeat_ms, connections, peer_connections;
	bool stopping;
	char mhd_error[256]; /* libmicrohttpd's last message */
	struct log_rate refusals, failures;
};

/* --- http_connection.c --- */

struct http_connection {
	struct http_connection *next, *previous;
	struct http_endpoint *endpoint;
	struct MHD_Connection *mhd;   /* NULL: not handed over yet */
	int fd;			      /* owned by libmicrohttpd */
	struct connection_slot *slot; /* of TCP */
	struct http_peer peer;
	struct event *activity; /* bytes, or the peer's end */
	struct event *deadline; /* for the whole request, or to be authorized; also sets `idle` */
	bool authorized;	/* a unix peer, or one that has shown the token */
	bool idle;		/* between requests */
	bool becoming_idle;	/* `deadline` is active, and its callback sets `idle` */
	bool suspended;
	bool gone;		      /* the peer has closed, or we gave up on it */
	struct http_request *request; /* not owned; NULL: none */
};

/* 0 or a negative errno. Socket and slot (NULL: none) then belong to the connection, or are closed and released. */
warn_unused int http_connection_start(struct http_endpoint *endpoint, int fd, const struct http_peer *peer,
				      struct connection_slot *slot);

void http_connection_request_started(struct http_connection *connection); /* the first line arrived */
void http_connection_authorized(struct http_connection *connection);	  /* the head has the token */
void http_connection_request_received(struct http_connection *connection);
void http_connection_request_done(struct http_connection *connection); /* the answer is sent */

/* Call it from within libmicrohttpd's callbacks: nothing happens on this connection until it is woken. */
void http_connection_suspend(struct http_connection *connection);
void http_connection_wake(struct http_connection *connection); /* from anywhere, even if it is not suspended */

/* libmicrohttpd's callback: a connection starts or ends. ctx: the endpoint. */
void http_connection_notify(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
			    enum MHD_ConnectionNotificationCode what);

/* --- http_request.c --- */

struct http_request {
	unsigned references; /* libmicrohttpd's until completion, the handler's until its answer */
	struct http_server *server;
	struct http_connection *connection; /* NULL: gone */
	char *raw_target;
	char *peer;
	bool is_guest;	    /* came with a guest's token, or signature */
	bool is_unverified; /* a guest's signature that nothing has looked at */
	struct http_target target;
	const struct http_route *route;
	struct buffer body;
	bool checked, dispatched;
	void (*gone)(void *ctx);
	void *on_gone_ctx;
	struct MHD_Response *answer; /* prepared, not yet queued */
	unsigned status;
};

/* libmicrohttpd's callbacks. ctx: the endpoint. */
void *http_request_line(void *ctx, const char *target, struct MHD_Connection *mhd);
enum MHD_Result http_request_access(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
				    const char *version, const char *upload, size_t *upload_size, void **request_ctx);
void http_request_completed(void *ctx, struct MHD_Connection *mhd, void **request_ctx,
			    enum MHD_RequestTerminationCode why);

void http_request_release(struct http_request *request);

/* --- http_answer.c --- */

/*
 * Makes `response` (NULL: out of memory, answered with 500 if possible) the request's answer, releases the handler's
 * reference, and wakes the connection.
 */
void http_answer_response(struct http_request *request, unsigned status, struct MHD_Response *response);

/* Whether a connection waits for the answer. */
bool http_request_is_answerable(const struct http_request *request);

struct MHD_Response *http_error_response(const char *text);

/* Adds the headers that every answer has. False: out of memory. */
bool http_response_add_headers(struct MHD_Response *response, const char *type);

/* The name for a client that saves the answer, reduced to [A-Za-z0-9._-]. */
bool http_response_set_name(struct MHD_Response *response, const char *name);

/* Answers instead of a handler; the connection closes afterwards. */
void http_refuse(struct http_request *request, unsigned status, const char *text, const char *header,
		 const char *value);

/* The server stops: answers 503 if the handler has not answered. */
void http_answer_unavailable(struct http_request *request);

/* --- http_server.c --- */

void http_server_count(struct http_server *server, enum http_refusal refusal);

/* Runs libmicrohttpd from the loop, soon. */
void http_endpoint_schedule(struct http_endpoint *endpoint);
