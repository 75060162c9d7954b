/* SPDX-License-Identifier: BSD-2-Clause */
/* A server with a few routes and raw clients of it, on one loop and thread. Every wait has a deadline. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "http/http_server.h"

#define HELD_MAX 128
#define DOWNLOAD_BYTES (8 * 1024 * 1024)

struct fixture {
	struct event_base *loop;
	struct http_server_options options; /* changed before restart() */
	struct http_server *server;
	char directory[64], path[96];

	/* what the handlers saw and hold */
	unsigned handled;
	struct http_request *held[HELD_MAX]; /* of /later */
	unsigned held_count, gone;
	struct http_stream *stream; /* of /stream, /events */
	unsigned pulls;		    /* calls of the producer's `more` */
	unsigned stream_gone, released;
	bool ends_when_gone; /* the producer ends the stream in its `gone` callback */
};

extern struct fixture fixture;

int make_server(void **state); /* cmocka setup and teardown; the teardown fails if a file is left */
int free_server(void **state);
void restart(void); /* with fixture.options */

/* Runs the loop until the condition holds; fails the test after 20 s. */
void wait_for(bool (*condition)(void *ctx), void *ctx, const char *what);
void run_for_ms(unsigned ms); /* gives an unwanted event time to happen */

struct client {
	int fd;
	char text[256 * 1024]; /* what was received; NUL-terminated */
	size_t size;
	uint64_t dropped; /* bytes received beyond it */
	bool ended;	  /* the server has closed */
};

struct client *client_new(void);
void client_free(struct client *client);
void send_text(struct client *client, const char *text);
void send_bytes(struct client *client, const void *bytes, size_t size);
void receive(struct client *client); /* what is available */

/* Waits until the text has come, after the previous match, and skips past it. */
void expect(struct client *client, const char *text);
void expect_end(struct client *client); /* the server closes */
void clear_text(struct client *client);

/* A minimal request. */
#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
