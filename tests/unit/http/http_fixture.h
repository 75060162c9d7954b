/* SPDX-License-Identifier: BSD-2-Clause */
/* A server with a few routes on a loop, and raw clients of it in the same thread. Whatever is waited for has a
 * deadline. */
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
	unsigned asked, stream_gone, released;
	bool ends_when_gone; /* the stream's producer, at once */
};

extern struct fixture fixture;

int make_server(void **state); /* cmocka setup and teardown; the teardown fails if a connection's memory is left */
int free_server(void **state);
void restart(void); /* with fixture.options */

/* Runs the loop until the condition holds; fails the test after 20 s. */
void wait_for(bool (*condition)(void *ctx), void *ctx, const char *what);
void run_for_ms(unsigned ms); /* lets the loop run, for what must not happen */

struct client {
	int fd;
	char text[256 * 1024]; /* all that came; NUL-terminated */
	size_t size;
	uint64_t dropped; /* bytes beyond it, of downloads */
	bool ended;	  /* the server has closed */
};

struct client *client_new(void);
void client_free(struct client *client);
void say(struct client *client, const char *text);
void say_bytes(struct client *client, const void *bytes, size_t size);
void take_in(struct client *client); /* what is there now */

/* Waits until the text has come, from the start of what has not been passed yet; passes over it. */
void expect(struct client *client, const char *text);
void expect_end(struct client *client); /* the server closes */
void forget_text(struct client *client);

/* The three lines every sane client sends. */
#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
