/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket's part of a connection: options against dead peers, TLS, and hiredis's libevent adapter (a header of
 * static functions, so only this file includes it). */
#include "redis/connection/redis_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "redis/connection/redis_guard.h"
#include "redis/connection/redis_tls.h"

#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3
#define USER_TIMEOUT_MS 20000 /* unacknowledged data */

static void set_socket_options(int fd)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
	};

	/* Best effort: PING detects dead peers, too. */
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		(void)setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(options[i].value));
}

redisAsyncContext *redis_socket_connect(struct event_base *loop, const char *address, uint16_t port, void *owner,
					struct error *err)
{
	redisOptions options = {0};
	redisAsyncContext *redis;

	REDIS_OPTIONS_SET_TCP(&options, address, port);
	options.options |= strchr(address, ':') ? REDIS_OPT_PREFER_IPV6 : REDIS_OPT_PREFER_IPV4;
	redis = redisAsyncConnectWithOptions(&options);
	if (!redis)
		goto no_memory;
	if (redis->err) {
		error_set(err, -ECONNREFUSED, "%s", redis->errstr);
		redisAsyncFree(redis);
		return NULL;
	}
	if (redis_guard_install(redis, owner) < 0 || redisLibeventAttach(redis, loop) != REDIS_OK) {
		redisAsyncFree(redis);
		goto no_memory;
	}
	(void)fcntl(redis->c.fd, F_SETFD, FD_CLOEXEC);
	set_socket_options(redis->c.fd);
	return redis;
no_memory:
	error_set(err, -ENOMEM, "out of memory");
	return NULL;
}

int redis_socket_start_tls(redisAsyncContext *redis, SSL_CTX *tls, const struct redis_tls_names *names,
			   struct error *err)
{
	SSL *session;

	if (!tls) {
		redis_guard_watch(redis, NULL);
		return 0;
	}
	session = redis_tls_session(tls, names->host, names->alternative, err);
	if (!session)
		return -ENOMEM;
	if (redisInitiateSSL(&redis->c, session) == REDIS_OK) {
		redis_guard_watch(redis, session);
		return 0;
	}
	if (!redis_tls_failure(session, err))
		error_set(err, -EPROTO, "TLS: %s", redis->c.errstr);
	SSL_free(session);
	return -EPROTO;
}
