/* SPDX-License-Identifier: BSD-2-Clause */
/* The error that a server sent before it closed is reported as the reason, even if our write failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "redis/connection/redis_guard.h"

struct pair {
	redisAsyncContext *redis;
	int server;
};

static struct pair connected(void)
{
	redisOptions options = {.type = REDIS_CONN_USERFD};
	struct pair pair;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	options.endpoint.fd = fds[0];
	pair.redis = redisAsyncConnectWithOptions(&options);
	pair.server = fds[1];
	assert_non_null(pair.redis);
	assert_int_equal(redis_guard_install(pair.redis, NULL), 0);
	return pair;
}

/* Lets a write fail; returns the reason that the link would log. */
static const char *write_fails(const struct pair *pair, struct error *reason)
{
	redisContext *context = &pair->redis->c;

	assert_int_equal(redisAppendCommand(context, "PING"), REDIS_OK);
	assert_int_equal(context->funcs->write(context), -1);
	assert_int_not_equal(context->err, 0);
	redis_guard_failure(pair->redis, reason);
	redisAsyncFree(pair->redis);
	return reason->text;
}

static void test_error_before_the_close_is_the_reason(void **state)
{
	static const char error_reply[] = "-ERR max number of clients reached\r\n";
	struct pair pair = connected();
	struct error reason;

	(void)state;
	redis_guard_watch(pair.redis, NULL);
	assert_int_equal(write(pair.server, error_reply, sizeof(error_reply) - 1), sizeof(error_reply) - 1);
	close(pair.server);
	assert_string_equal(write_fails(&pair, &reason), "ERR max number of clients reached");
}

static void test_silent_close_leaves_the_system_error(void **state)
{
	struct pair pair = connected();
	struct error reason;

	(void)state;
	redis_guard_watch(pair.redis, NULL);
	close(pair.server);
	assert_string_equal(write_fails(&pair, &reason), strerror(EPIPE));
}

static void test_reply_before_the_close_is_no_reason(void **state)
{
	struct pair pair = connected();
	struct error reason;

	(void)state;
	redis_guard_watch(pair.redis, NULL);
	assert_int_equal(write(pair.server, "+PONG\r\n", 7), 7);
	close(pair.server);
	assert_string_equal(write_fails(&pair, &reason), strerror(EPIPE));
}

/* --- TLS --- */

/* A server that requires a client certificate; its own is self-signed. */
static SSL_CTX *strict_server(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();

	assert_true(context && key && certificate);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), S_PER_DAY);
	assert_int_equal(X509_set_pubkey(certificate, key), 1);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}

/* The client completes the handshake with its last message; then the server refuses it and closes. */
static void refuse(const struct pair *pair, SSL_CTX *context)
{
	SSL *session = SSL_new(context);
	char none;

	assert_non_null(session);
	assert_int_equal(SSL_set_fd(session, pair->server), 1);
	assert_int_equal(SSL_accept(session), -1);
	assert_int_equal(SSL_get_error(session, -1), SSL_ERROR_WANT_READ);
	assert_int_equal(pair->redis->c.funcs->read(&pair->redis->c, &none, 1), 0);
	assert_true(redis_guard_tls_ready(pair->redis));
	assert_int_equal(SSL_accept(session), -1);
	assert_int_equal(SSL_get_error(session, -1), SSL_ERROR_SSL);
	SSL_free(session);
	close(pair->server);
}

static void test_tls_alert_before_the_close_is_the_reason(void **state)
{
	SSL_CTX *server = strict_server(), *client = SSL_CTX_new(TLS_client_method());
	struct pair pair = connected();
	struct error reason;
	SSL *session;

	(void)state;
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(client), SSL_CTX_get0_certificate(server)), 1);
	session = SSL_new(client);
	assert_int_equal(redisInitiateSSL(&pair.redis->c, session), REDIS_OK);
	redis_guard_watch(pair.redis, session);
	refuse(&pair, server);
	assert_string_equal(write_fails(&pair, &reason), "TLS: tlsv13 alert certificate required");
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_before_the_close_is_the_reason),
		cmocka_unit_test(test_silent_close_leaves_the_system_error),
		cmocka_unit_test(test_reply_before_the_close_is_no_reason),
		cmocka_unit_test(test_tls_alert_before_the_close_is_the_reason),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
