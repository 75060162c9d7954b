/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes from a Redis server, on a connection that awaits replies, is subscribed, or both, as the first byte of the
 * input selects. hiredis itself aborts on some of them; the guard must not let those through.
 */
#include <fcntl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redis/connection/redis_guard.h"

#define PING_SENT 1u
#define SUBSCRIBE_SENT 2u
#define PING_SENT_AFTER 4u /* after SUBSCRIBE */
#define CHUNK_SIZE 1024	   /* fits any socket buffer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool connected;

static void on_reply(redisAsyncContext *redis, void *reply, void *ctx)
{
	const redisReply *message = reply;

	(void)redis;
	(void)ctx;
	/* The subscriber relies on this. */
	if (message && message->type == REDIS_REPLY_ARRAY && message->elements == 3 && !message->element[0]->str)
		abort();
}

static void on_pong(redisAsyncContext *redis, void *reply, void *ctx)
{
	(void)redis;
	(void)reply;
	(void)ctx;
}

static void on_disconnect(const redisAsyncContext *redis, int status)
{
	(void)redis;
	(void)status;
	connected = false;
}

static redisAsyncContext *open_connection(int fd, unsigned mode)
{
	redisOptions options = {.type = REDIS_CONN_USERFD};
	redisAsyncContext *redis;

	options.endpoint.fd = fd;
	redis = redisAsyncConnectWithOptions(&options);
	if (!redis || redis_guard_install(redis, NULL) < 0 || redis_guard_set_channel(redis, "capture") < 0)
		abort();
	redis->c.flags |= REDIS_CONNECTED;
	redis_guard_watch(redis, NULL);
	redisAsyncSetDisconnectCallback(redis, on_disconnect);
	if (mode & PING_SENT)
		redisAsyncCommand(redis, on_pong, NULL, "PING");
	if (mode & SUBSCRIBE_SENT)
		redisAsyncCommand(redis, on_reply, NULL, "SUBSCRIBE capture");
	if (mode & PING_SENT_AFTER)
		redisAsyncCommand(redis, on_pong, NULL, "PING");
	connected = true;
	return redis;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	redisAsyncContext *redis;
	int pair[2];

	if (size == 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	redis = open_connection(pair[0], data[0]);
	for (size_t at = 1; connected && at < size; at += CHUNK_SIZE) {
		size_t left = size - at;

		if (send(pair[1], data + at, left < CHUNK_SIZE ? left : CHUNK_SIZE, MSG_NOSIGNAL) < 0)
			abort();
		redisAsyncHandleRead(redis);
	}
	if (connected)
		redisAsyncFree(redis);
	close(pair[1]);
	return 0;
}
