/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A strict HTTP/1.1 server on the event loop: a unix socket for local clients (peer credentials decide) and optionally
 * TCP with a bearer token and TLS. It knows no route's meaning. Everything runs on the loop's thread, except for TLS
 * (net/tls_server.h); only the constructor may block.
 *
 * A handler gets a request and must answer it exactly once, at once or later. The handle stays valid until then, even
 * if the client or the whole server is gone; the answer is then discarded. A handler that works long on an answer can
 * ask to be notified (http_request_set_gone_handler).
 *
 * A request that is dubious in any way is refused and its connection closed, see http_check.h. The server's
 * own refusals are `{"error":"…"}`; only for requests that libmicrohttpd itself cannot parse does it send its own page.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "base/error.h"

#define HTTP_CONNECTIONS_MAX 64		   /* at once, of each kind (unix, TCP); 503 beyond */
#define HTTP_PEER_CONNECTIONS_MAX 32	   /* of TCP, of one address (IPv6: one /64); 503 beyond */
#define HTTP_LOGIN_TIMEOUT_MS 5000	   /* over TCP, from accept until a head with the token */
#define HTTP_HEADERS_MAX 64		   /* 431 beyond */
#define HTTP_HEAD_BYTES_MAX (16 * 1024)	   /* request line and headers; 431 beyond */
#define HTTP_BODY_BYTES_MAX (1024 * 1024)  /* a route may allow less, not more; 413 beyond */
#define HTTP_SIGNED_BYTES_MAX (256 * 1024) /* of a body with a signature, since it is read before that is verified */
#define HTTP_REQUEST_TIMEOUT_MS \
	10000 /* for a whole request, from its first byte or from accept (TCP: from the head with the token) */
#define HTTP_IDLE_TIMEOUT_S 30		      /* for a client that sends no request, or takes nothing of an answer */
#define HTTP_STREAM_BYTES_MAX (1024 * 1024)   /* of a stream waiting for the client */
#define HTTP_SSE_STREAMS_MAX 16		      /* event streams at once; 503 beyond */
#define HTTP_SSE_QUEUE_BYTES_MAX (256 * 1024) /* of one waiting for the client; slower clients are cut */
#define HTTP_SSE_HEARTBEAT_MS 15000	      /* a comment after this long without an event */

struct event_base;
struct http_request;
struct http_server;
struct secret;
struct http_stream;

typedef void (*http_handler)(void *ctx, struct http_request *request);

struct http_route {
	const char *method;  /* "GET" (answers HEAD as well), "POST", "DELETE" */
	const char *pattern; /* "/v1/captures/" "*" "/file": a "*" stands for one segment */
	http_handler handler;
	size_t body_bytes_max; /* 0: no body at all */
	bool any_type;	       /* the body may be of any type, not only JSON */
	bool guests;	       /* open to guests as well; the handler calls http_request_must_verify() */
};

/* Who may use the routes for guests over TCP, by a token of their own, or by a signature of the body. */
struct http_guests {
	/* The name of the guest with this token; NULL: there is none. */
	const char *(*find)(void *ctx, const char *token, size_t size);
	void *ctx;
	/* Headers of signatures, the last one NULL; NULL: none. A request with one of them needs no token. */
	const char *const *signatures;
};

struct http_server_options {
	struct event_base *loop;
	const struct http_route *routes; /* must outlive the server, as must ctx */
	size_t route_count;
	void *ctx; /* for the handlers */

	const char *socket; /* NULL or "": none */
	const char *group;  /* NULL or "": none; an unknown one counts as none */
	const char *listen; /* TCP, "127.0.0.1:7227"; NULL or "": none. Needs a token, and TLS unless loopback */
	const char *token;
	struct secret *secret;		  /* not copied, must outlive the server; used instead of `token` unless NULL */
	struct http_guests guests;	  /* `find` NULL: none have tokens */
	const char *cert_file, *key_file; /* PEM; both or none */

	/* For tests; 0: as above. */
	unsigned request_timeout_ms, login_timeout_ms, idle_timeout_s, heartbeat_ms, connections, peer_connections;
};

/* Connections that were refused or cut, by cause. */
enum http_refusal {
	HTTP_REFUSED_CONNECTIONS,     /* HTTP_CONNECTIONS_MAX */
	HTTP_REFUSED_PEER,	      /* HTTP_PEER_CONNECTIONS_MAX */
	HTTP_REFUSED_LOGIN_TIMEOUT,   /* HTTP_LOGIN_TIMEOUT_MS */
	HTTP_REFUSED_REQUEST_TIMEOUT, /* HTTP_REQUEST_TIMEOUT_MS */
	HTTP_REFUSED_HANDSHAKE,	      /* TLS failed */
	HTTP_REFUSED_EVENT_STREAMS,   /* HTTP_SSE_STREAMS_MAX */
	HTTP_REFUSAL_COUNT,
};

struct http_server_counts {
	size_t connections; /* now */
	uint64_t refused[HTTP_REFUSAL_COUNT];
	uint64_t delayed_handshakes; /* TLS_HANDSHAKES_PER_S, TLS_PEER_HANDSHAKES_PER_S */
};

/* Strings are copied. NULL and `err` on failure. */
struct http_server *http_server_new(const struct http_server_options *options, struct error *err);

/*
 * Answers pending requests with 503, ends streams, flushes what the kernel takes at once, and closes all connections.
 * Must not be called from within a callback of the server. Handles still held remain valid.
 */
void http_server_free(struct http_server *server);

uint16_t http_server_port(const struct http_server *server); /* of TCP; 0: no TCP */
size_t http_server_connections(const struct http_server *server);

struct http_server_counts http_server_counts(const struct http_server *server);
const char *http_refusal_name(enum http_refusal refusal); /* "login-timeout", for metrics */

/* Takes over a connected unix socket as if accepted. 0 or a negative errno; `fd` is the server's either way. */
warn_unused int http_server_adopt(struct http_server *server, int fd);

/* --- requests; strings live as long as the request --- */

const char *http_request_peer(const struct http_request *request); /* "unix:1000(alice)", "tcp:127.0.0.1" */
bool http_request_is_guest(const struct http_request *request);	   /* came with a guest's token */
/* What the `n`th "*" of the pattern stands for (from 0), decoded. */
const char *http_request_segment(const struct http_request *request, size_t n);
const void *http_request_body(const struct http_request *request, size_t *size); /* never NULL */

/*
 * Whether the request came to a route for guests by a signature that nothing has looked at. The handler then verifies
 * it, and calls one of the other two, before it does anything else.
 */
bool http_request_must_verify(const struct http_request *request);
void http_request_verified(struct http_request *request, const char *guest);
/* An answer: 401, and as with any other before http_request_verified() the connection closes. `why` goes to client and
 * log. */
void http_answer_unverified(struct http_request *request, const char *why);

/* The header's value; NULL: not sent, or more than once. Call it from within the handler. */
const char *http_request_header(const struct http_request *request, const char *name);

/* 0 and the decoded value, -ENOENT (not sent; value NULL) or -EINVAL (sent twice; value NULL). */
warn_unused int http_request_parameter(const struct http_request *request, const char *name, const char **value);

/* A query parameter that is none of `known` (NULL-terminated), or NULL. */
const char *http_request_unknown_parameter(const struct http_request *request, const char *const *known);

/* How much the client wants a media type ("text/plain"), in thousandths: its Accept fields, HTTP_QUALITY_MAX without
 * any. Call it from within the handler. */
unsigned http_request_quality(const struct http_request *request, const char *type);

/* `gone` is called once, from the loop, if the client or the server goes before the answer. NULL: no longer. */
void http_request_set_gone_handler(struct http_request *request, void (*gone)(void *ctx), void *ctx);

/* --- answers; each of these ends the handle's life --- */

void http_answer(struct http_request *request, unsigned status, const char *type, const void *body, size_t size);
void http_answer_json(struct http_request *request, unsigned status, const char *json);
void http_answer_error(struct http_request *request, unsigned status, const char *fmt, ...) printf_like(3, 4);

/* A download of known size. `stream` is read on the loop's thread, so it must not block. */
struct http_file {
	struct byte_stream stream;
	const char *type;	    /* a constant */
	const char *name;	    /* for Content-Disposition, reduced to [A-Za-z0-9._-]; NULL: none */
	void (*release)(void *ctx); /* called once, when the stream is no longer needed, even on failure */
	void *release_ctx;
};
void http_answer_file(struct http_request *request, const struct http_file *file);

/*
 * An answer of unknown length, in pieces. `more` requests the next piece once the client has taken all there was (and
 * once at the start); the producer writes it then or later, and is not called again before. `gone`: the client or the
 * server is gone. The producer holds the handle until http_stream_end. Neither is called from within the calls below.
 * NULL: out of memory; the request is answered, and nothing will be called.
 */
struct http_producer {
	const char *name; /* for Content-Disposition, as in struct http_file; NULL: none */
	void (*more)(void *ctx);
	void (*gone)(void *ctx);
	void *ctx;
};
struct http_stream *http_answer_stream(struct http_request *request, const char *type,
				       const struct http_producer *source);

/* Copies the bytes. 0, -ENOBUFS (HTTP_STREAM_BYTES_MAX), -ENOMEM, or -EPIPE (the client is gone). */
warn_unused int http_stream_write(struct http_stream *stream, const void *bytes, size_t size);

/* `complete` false: the connection breaks off, so that the client sees that something is missing. */
void http_stream_end(struct http_stream *stream, bool complete);

/*
 * Server-sent events. `gone` and the handle as above. NULL: too many streams, or out of memory; the request is
 * answered, and `gone` will not be called.
 */
struct http_stream *http_answer_sse(struct http_request *request, void (*gone)(void *ctx), void *ctx);

/* Never blocks. 0, or -EPIPE: the client is gone or too slow (`gone` follows, or was called). */
int http_sse_send(struct http_stream *stream, const char *event, const char *data);

CLEANUP_DEFINE(http_server, struct http_server, http_server_free)
