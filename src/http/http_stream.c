/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers that are produced while they are sent. Bytes waiting for the client lie in a buffer with a cap. When the
 * library finds it empty, the connection is suspended, and the producer is asked for more (from the loop, never from
 * within the library or a call of its own). Writing wakes the connection.
 *
 * A stream has two holders: the response (until the library is done with it, which shows that the client is gone or has
 * everything) and the producer (until it ends the stream). The last one frees it.
 *
 * An event stream is the same without requests for more, and with a heartbeat. A client that lets more than the cap
 * wait gets a comment to that effect after it, and the stream ends.
 */
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "http/http_server_internal.h"

#define HTTP10_BLOCK_BYTES 4096 /* for HTTP/1.0, which has no chunks */

static const char too_slow_comment[] = ": too slow, events were lost\n\n";
static const char heartbeat_comment[] = ":\n\n";

struct http_stream {
	struct http_server *server;
	struct http_connection *connection; /* NULL: gone */
	bool held_by_response, held_by_producer;
	bool sse, ended, complete, more_requested;
	struct buffer queue;
	size_t sent_bytes;   /* of `queue` */
	struct event *event; /* requests more, or sends the heartbeat */
	void (*more)(void *ctx);
	void (*gone)(void *ctx);
	void *ctx;
};

static void release(struct http_stream *stream)
{
	if (stream->held_by_response || stream->held_by_producer)
		return;
	if (stream->event)
		event_free(stream->event);
	buffer_deinit(&stream->queue);
	free(stream);
}

static void request_more(struct http_stream *stream)
{
	if (stream->sse || stream->more_requested || stream->ended)
		return;
	stream->more_requested = true;
	event_active(stream->event, EV_TIMEOUT, 0);
}

/* Gives the library what is queued; if nothing is, ends the response or suspends the connection. */
static ssize_t read_stream(void *ctx, uint64_t position, char *into, size_t room)
{
	struct http_stream *stream = ctx;
	size_t left = stream->queue.size - stream->sent_bytes, size = left < room ? left : room;

	(void)position;
	if (stream->connection->gone || (stream->ended && !stream->complete) ||
	    (stream->server->stopping && !stream->sse))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (size > 0) {
		memcpy(into, stream->queue.data + stream->sent_bytes, size);
		stream->sent_bytes += size;
		if (stream->sent_bytes == stream->queue.size) {
			buffer_clear(&stream->queue);
			stream->sent_bytes = 0;
			request_more(stream);
		}
		return (ssize_t)size;
	}
	if (stream->ended || stream->server->stopping)
		return MHD_CONTENT_READER_END_OF_STREAM;
	request_more(stream);
	http_connection_suspend(stream->connection);
	return 0;
}

/* The library is done with the response: all is sent, or the client is gone. */
static void on_response_done(void *ctx)
{
	struct http_stream *stream = ctx;

	if (stream->sse)
		stream->server->sse_count--;
	stream->connection = NULL;
	stream->server = NULL;
	stream->ended = true;
	event_free(stream->event); /* the producer may outlive the loop */
	stream->event = NULL;
	if (stream->held_by_producer && stream->gone)
		stream->gone(stream->ctx); /* may end the stream */
	stream->held_by_response = false;
	release(stream);
}

static void on_more_due(evutil_socket_t fd, short events, void *ctx)
{
	struct http_stream *stream = ctx;

	(void)fd;
	(void)events;
	if (!stream->ended)
		stream->more(stream->ctx);
}

/* Appends to the queue, after moving it over the bytes already sent. */
static int append(struct http_stream *stream, const void *bytes, size_t size)
{
	int r;

	if (stream->sent_bytes > 0) {
		size_t left = stream->queue.size - stream->sent_bytes;

		memmove(stream->queue.data, stream->queue.data + stream->sent_bytes, left);
		stream->queue.size = left;
		stream->sent_bytes = 0;
	}
	r = buffer_append(&stream->queue, bytes, size);
	if (stream->connection)
		http_connection_wake(stream->connection);
	return r;
}

static struct http_stream *new_stream(struct http_request *request, size_t cap, event_callback_fn callback)
{
	struct http_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->server = request->server;
	stream->connection = request->connection;
	stream->queue = (struct buffer)BUFFER_INIT(cap);
	stream->event = event_new(request->server->loop, -1, 0, callback, stream);
	if (!stream->event) {
		release(stream);
		return NULL;
	}
	return stream;
}

/* Makes the response, which then holds the stream. NULL: the stream is freed. */
static struct MHD_Response *new_response(struct http_stream *stream, const char *type, const char *name)
{
	struct MHD_Response *response;

	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP10_BLOCK_BYTES, read_stream, stream,
						     on_response_done);
	if (!response) {
		if (stream->sse)
			stream->server->sse_count--;
		release(stream);
		return NULL;
	}
	stream->held_by_response = true;
	if (!http_response_add_headers(response, type) || (name && !http_response_set_name(response, name))) {
		MHD_destroy_response(response);
		return NULL;
	}
	stream->held_by_producer = true;
	return response;
}

struct http_stream *http_answer_stream(struct http_request *request, const char *type,
				       const struct http_producer *source)
{
	struct http_stream *stream =
		http_request_is_answerable(request) ? new_stream(request, HTTP_STREAM_BYTES_MAX, on_more_due) : NULL;
	struct MHD_Response *response = stream ? new_response(stream, type, source->name) : NULL;

	if (!response) {
		http_answer_response(request, 0, NULL);
		return NULL;
	}
	stream->more = source->more;
	stream->gone = source->gone;
	stream->ctx = source->ctx;
	request_more(stream);
	http_answer_response(request, MHD_HTTP_OK, response);
	return stream;
}

int http_stream_write(struct http_stream *stream, const void *bytes, size_t size)
{
	int r;

	if (stream->ended)
		return -EPIPE;
	stream->more_requested = false;
	r = append(stream, bytes, size);
	return r == -EMSGSIZE ? -ENOBUFS : r;
}

void http_stream_end(struct http_stream *stream, bool complete)
{
	stream->held_by_producer = false;
	if (!stream->ended) {
		stream->ended = true;
		stream->complete = complete;
	}
	if (stream->event)
		event_del(stream->event);
	if (stream->connection)
		http_connection_wake(stream->connection);
	release(stream);
}

/* --- server-sent events --- */

static void restart_heartbeat(struct http_stream *stream)
{
	unsigned ms = stream->server->heartbeat_ms;
	struct timeval interval = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	(void)event_add(stream->event, &interval);
}

/* Queues `text` if there is room; else queues the comment instead and ends the stream. */
static int enqueue_or_end(struct http_stream *stream, const struct buffer *text)
{
	size_t waiting = stream->queue.size - stream->sent_bytes;

	if (waiting + text->size <= HTTP_SSE_QUEUE_BYTES_MAX && append(stream, text->data, text->size) == 0) {
		restart_heartbeat(stream);
		return 0;
	}
	stream->complete = append(stream, too_slow_comment, sizeof(too_slow_comment) - 1) == 0;
	stream->ended = true;
	event_del(stream->event);
	return -EPIPE;
}

static void on_heartbeat(evutil_socket_t fd, short events, void *ctx)
{
	struct http_stream *stream = ctx;
	char bytes[] = ":\n\n";
	const struct buffer text = {.data = bytes, .size = sizeof(heartbeat_comment) - 1};

	(void)fd;
	(void)events;
	if (!stream->ended)
		(void)enqueue_or_end(stream, &text);
}

struct http_stream *http_answer_sse(struct http_request *request, void (*gone)(void *ctx), void *ctx)
{
	struct http_stream *stream;
	struct MHD_Response *response = NULL;

	if (http_request_is_answerable(request) && request->server->sse_count >= HTTP_SSE_STREAMS_MAX) {
		http_server_count(request->server, HTTP_REFUSED_EVENT_STREAMS);
		http_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "there are %d event streams already",
				  HTTP_SSE_STREAMS_MAX);
		return NULL;
	}
	stream = http_request_is_answerable(request)
			 ? new_stream(request, HTTP_SSE_QUEUE_BYTES_MAX + sizeof(too_slow_comment), on_heartbeat)
			 : NULL;
	if (stream) {
		stream->sse = true;
		stream->server->sse_count++;
		response = new_response(stream, "text/event-stream", NULL);
	}
	if (!response) {
		http_answer_response(request, 0, NULL);
		return NULL;
	}
	stream->gone = gone;
	stream->ctx = ctx;
	(void)append(stream, heartbeat_comment, sizeof(heartbeat_comment) - 1);
	restart_heartbeat(stream);
	http_answer_response(request, MHD_HTTP_OK, response);
	return stream;
}

int http_sse_send(struct http_stream *stream, const char *event, const char *data)
{
	struct buffer text = BUFFER_INIT(HTTP_SSE_QUEUE_BYTES_MAX + 1);
	int r;

	if (stream->ended)
		return -EPIPE;
	r = buffer_printf(&text, "event: %s\n", event);
	for (const char *end; r == 0 && data; data = *end ? end + 1 : NULL) { /* line by line */
		end = data + strcspn(data, "\n");
		r = buffer_append_string(&text, "data: ");
		if (r == 0)
			r = buffer_append(&text, data, (size_t)(end - data));
		if (r == 0)
			r = buffer_append_string(&text, "\n");
	}
	if (r == 0)
		r = buffer_append_string(&text, "\n");
	if (r < 0)
		text.size = HTTP_SSE_QUEUE_BYTES_MAX + 1; /* fits nowhere */
	r = enqueue_or_end(stream, &text);
	buffer_deinit(&text);
	return r;
}
