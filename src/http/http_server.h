/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A strict HTTP/1.1 server on the event loop: a unix socket for the host's own (peer credentials decide) and, if
 * wanted, TCP with a bearer token and TLS. It knows no route's meaning. Everything on the loop's thread; nothing blocks
 * but the constructor.
 *
 * A handler gets a request and must answer it exactly once, at once or later, whatever happens meanwhile: the handle is
 * valid until then, also when the client or the whole server is gone; the answer is thrown away then. Who works long
 * for an answer asks to be told of that (http_request_set_gone_handler).
 *
 * A request that is dubious in any way is refused and its connection closed (400), see http_check.h. Refusals by the
 * server are `{"error":"…"}`; only what libmicrohttpd itself cannot parse is answered by a page of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "base/error.h"

#define HTTP_CONNECTIONS_MAX 64		  /* at once, of each kind: unix, TCP. What comes then is told 503 */
#define HTTP_HEADERS_MAX 64		  /* 431 beyond */
#define HTTP_HEAD_BYTES_MAX (16 * 1024)	  /* bytes of request line and headers; 431 beyond */
#define HTTP_BODY_BYTES_MAX (1024 * 1024) /* a route may allow less, not more; 413 beyond */
#define HTTP_REQUEST_TIMEOUT_MS 10000 /* a request must have arrived whole so long after its first byte, or accept */
#define HTTP_IDLE_TIMEOUT_S 30	      /* idle between requests, or a client that takes nothing of an answer: cut */
#define HTTP_STREAM_BYTES_MAX (1024 * 1024)   /* bytes of a stream that wait for the client */
#define HTTP_SSE_STREAMS_MAX 16		      /* event streams at once; 503 beyond */
#define HTTP_SSE_QUEUE_BYTES_MAX (256 * 1024) /* bytes of one that wait for the client; who is slower is cut */
#define HTTP_SSE_HEARTBEAT_MS 15000	      /* a comment after so long without an event */
#define HTTP_PEM_BYTES_MAX (256 * 1024)	      /* bytes of a certificate's or key's file */

struct event_base;
struct http_request;
struct http_server;
struct http_stream;

typedef void (*http_handler)(void *ctx, struct http_request *request);

struct http_route {
	const char *method;  /* "GET" (HEAD then is answered as well), "POST", "DELETE" */
	const char *pattern; /* "/v1/captures/" "*" "/file": a "*" stands for one segment */
	http_handler handler;
	size_t body_bytes_max; /* 0: no body at all */
};

struct http_server_options {
	struct event_base *loop;
	const struct http_route *routes; /* must outlive the server, as ctx */
	size_t route_count;
	void *ctx; /* the handlers' */

	const char *socket; /* NULL or "": none */
	const char *group;  /* NULL or "": none; one that does not exist is none */
	const char
		*listen; /* TCP, "127.0.0.1:7227"; NULL or "": none. Needs a token; TLS, too, unless it is loopback */
	const char *token;
	const char *cert_file, *key_file; /* PEM; both or none */

	/* 0: as above. For tests. */
	unsigned request_timeout_ms, idle_timeout_s, heartbeat_ms, connections;
};

/* Strings are copied. NULL and `err` on failure. */
struct http_server *http_server_new(const struct http_server_options *options, struct error *err);

/*
 * Answers what is pending with 503, ends streams, gives that to the kernel as far as it takes it at once, closes all.
 * Not from within a callback of the server. Handles that are still held remain valid.
 */
void http_server_free(struct http_server *server);

uint16_t http_server_port(const struct http_server *server); /* of TCP; 0: none */
size_t http_server_connections(const struct http_server *server);

/* Takes over a connected unix socket as if it had been accepted. 0, or a negative errno; `fd` is the server's anyway.
 */
warn_unused int http_server_adopt(struct http_server *server, int fd);

/* --- what was asked; strings live as long as the request --- */

const char *http_request_peer(const struct http_request *request); /* "unix:1000", "tcp:127.0.0.1" */
const char *http_request_segment(const struct http_request *request,
				 size_t n); /* what the nth "*" stands for, decoded */
const void *http_request_body(const struct http_request *request, size_t *size); /* never NULL */

/*
 * 0 and the decoded value, or -ENOENT (not sent; value NULL). -EINVAL: sent twice; the handler should answer what
 * http_answer_bad_query says.
 */
warn_unused int http_request_parameter(const struct http_request *request, const char *name, const char **value);

/* A query parameter that is none of `known` (NULL-terminated), or NULL. */
const char *http_request_unknown_parameter(const struct http_request *request, const char *const *known);

/* At most one; called once, from the loop, if the client or the server goes before the answer. NULL: not any more. */
void http_request_set_gone_handler(struct http_request *request, void (*gone)(void *ctx), void *ctx);

/* --- answers: each of these ends the handle's life --- */

void http_answer(struct http_request *request, unsigned status, const char *type, const void *body, size_t size);
void http_answer_json(struct http_request *request, unsigned status, const char *json);
void http_answer_error(struct http_request *request, unsigned status, const char *fmt, ...) printf_like(3, 4);

/* A download of known size. `stream` is read on the loop's thread, so it must not block. */
struct http_file {
	struct byte_stream stream;
	const char *type;	    /* a constant */
	const char *name;	    /* for Content-Disposition, reduced to [A-Za-z0-9._-]; NULL: none */
	void (*release)(void *ctx); /* called once, when the stream is not needed any more, whatever came of it */
	void *release_ctx;
};
void http_answer_file(struct http_request *request, const struct http_file *file);

/*
 * An answer of unknown length, in pieces. `more` asks for the next piece when the client has taken what there was (and
 * once at the start); the holder writes it then or later, and is not asked again before. `gone`: nobody reads any more.
 * The handle is the holder's until http_stream_end. Never called from within the calls below. NULL: no memory; the
 * request is answered, and nothing will be called.
 */
struct http_producer {
	void (*more)(void *ctx);
	void (*gone)(void *ctx);
	void *ctx;
};
struct http_stream *http_answer_stream(struct http_request *request, const char *type,
				       const struct http_producer *source);

/* Copies. 0, -ENOBUFS (HTTP_STREAM_BYTES_MAX), -ENOMEM, or -EPIPE (nobody reads any more). */
warn_unused int http_stream_write(struct http_stream *stream, const void *bytes, size_t size);

/* `whole` false: the client is to see that something is missing (its connection breaks off). */
void http_stream_end(struct http_stream *stream, bool whole);

/*
 * Server-sent events. NULL: too many of them, or no memory; the request is answered, and `gone` will not be called.
 * `gone` as above; the handle is the holder's until http_stream_end.
 */
struct http_stream *http_answer_sse(struct http_request *request, void (*gone)(void *ctx), void *ctx);

/* Never blocks. 0, or -EPIPE: nobody reads any more, or too slowly (`gone` follows, or has been). */
int http_sse_send(struct http_stream *stream, const char *event, const char *data);

CLEANUP_DEFINE(http_server, struct http_server, http_server_free)
