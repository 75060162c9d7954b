/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server: two libmicrohttpd daemons without threads and without listening sockets (one for unix connections, one
 * for TCP), which our loop runs whenever their epoll descriptor or next time-out requires it. We accept, so the limits
 * are ours: each kind has its own number of connections, and clients beyond it get a 503 instead of waiting. So TCP
 * clients, which may not have shown a token yet, cannot lock out local ones; and since one address may only have some
 * of the TCP connections, it cannot lock out others.
 *
 * TLS ends before libmicrohttpd (net/tls_server.h): it gets the local socket of the TCP connection's relay.
 *
 * libmicrohttpd is only ever run from the loop, never from within one of its callbacks.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "http/http_server_internal.h"
#include "http/http_socket.h"
#include "net/tls_server.h"

#define ACCEPT_AT_ONCE 16
#define ACCEPT_PAUSE_MS 200
#define SOCKET_CHECK_S 2			  /* between looks whether the unix socket still has its name */
#define CONNECTION_POOL_BYTES ((size_t)64 * 1024) /* of a connection: its head and pieces of its answer */
#define FINAL_FLUSH_ROUNDS 16			  /* at the end: each round advances every answer one step */
#define CONNECTIONS_SLACK 4 /* connections that libmicrohttpd may still count after we have freed them */
#define DISCIPLINE 2	    /* the strictest level that still takes blanks around a value */

static const char too_many_connections[] =
	"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 33\r\n"
	"Connection: close\r\n\r\n{\"error\":\"too many connections\"}\n";

static const char *const refusal_names[HTTP_REFUSAL_COUNT] = {
	[HTTP_REFUSED_CONNECTIONS] = "connections",	[HTTP_REFUSED_PEER] = "peer-connections",
	[HTTP_REFUSED_LOGIN_TIMEOUT] = "login-timeout", [HTTP_REFUSED_REQUEST_TIMEOUT] = "request-timeout",
	[HTTP_REFUSED_HANDSHAKE] = "handshake",		[HTTP_REFUSED_EVENT_STREAMS] = "event-streams",
};

/* --- libmicrohttpd on the loop --- */

static void set_timer(struct http_endpoint *endpoint)
{
	MHD_UNSIGNED_LONG_LONG ms;
	struct timeval timeout;

	if (endpoint->scheduled) { /* during the run; a time-out set now would undo that */
		event_active(endpoint->timer, EV_TIMEOUT, 0);
		return;
	}
	if (MHD_get_timeout(endpoint->mhd, &ms) != MHD_YES) {
		event_del(endpoint->timer);
		return;
	}
	timeout = (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	(void)event_add(endpoint->timer, &timeout);
}

static void on_ready(evutil_socket_t fd, short events, void *ctx)
{
	struct http_endpoint *endpoint = ctx;

	(void)fd;
	(void)events;
	endpoint->scheduled = false;
	(void)MHD_run(endpoint->mhd);
	set_timer(endpoint);
}

void http_endpoint_schedule(struct http_endpoint *endpoint)
{
	endpoint->scheduled = true;
	event_active(endpoint->timer, EV_TIMEOUT, 0);
}

/* --- accepting --- */

static void on_pause_over(evutil_socket_t fd, short events, void *ctx)
{
	struct http_endpoint *endpoint = ctx;

	(void)fd;
	(void)events;
	(void)event_add(endpoint->accept_event, NULL);
}

static void log_start_failure(struct http_server *server, int r)
{
	uint64_t suppressed;

	if (log_rate_allow(&server->failures, &suppressed))
		log_warning("api-accept", log_str("error", strerror(-r)), log_uint("suppressed", suppressed));
}

/* Out of descriptors or memory: the listening socket stays ready, so pause instead of spinning. */
static void pause_accepting(struct http_endpoint *endpoint)
{
	static const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};

	log_start_failure(endpoint->server, -errno);
	event_del(endpoint->accept_event);
	(void)event_add(endpoint->pause, &pause);
}

static void refuse_connection(struct http_endpoint *endpoint, int fd, enum http_refusal refusal)
{
	http_server_count(endpoint->server, refusal);
	if (!endpoint->tcp || !endpoint->server->tls)
		(void)send(fd, too_many_connections, sizeof(too_many_connections) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static int start_local_connection(struct http_endpoint *endpoint, int fd)
{
	const struct http_server *server = endpoint->server;
	struct http_peer peer;

	if (endpoint->connections >= server->connections) {
		refuse_connection(endpoint, fd, HTTP_REFUSED_CONNECTIONS);
		return -EUSERS;
	}
	http_peer_unix(&peer, fd, server->socket ? http_socket_file_group(server->socket) : (gid_t)-1);
	return http_connection_start(endpoint, fd, &peer, NULL);
}

/* Against peers that vanish: unacknowledged data or keep-alives end the connection. */
static void set_tcp_options(const struct http_server *server, int fd)
{
	unsigned ms = server->idle_timeout_s * 1000;
	int on = 1, idle_s = (int)server->idle_timeout_s;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void start_tcp_connection(struct http_endpoint *endpoint, int fd)
{
	struct http_server *server = endpoint->server;
	struct http_peer peer;
	struct connection_slot *slot;
	bool network_full;
	uint64_t suppressed;

	http_peer_tcp(&peer, fd);
	slot = connection_slots_take(server->slots, peer.network, &network_full);
	if (!slot) {
		if (network_full && log_rate_allow(&server->refusals, &suppressed))
			log_notice("api-refused", log_str("peer", peer.text),
				   log_str("reason", "too many connections of this address"),
				   log_uint("suppressed", suppressed));
		refuse_connection(endpoint, fd, network_full ? HTTP_REFUSED_PEER : HTTP_REFUSED_CONNECTIONS);
		return;
	}
	set_tcp_options(server, fd);
	if (server->tls) {
		const int local = tls_server_start(server->tls, fd, slot);

		if (local < 0) {
			connection_slot_release(slot);
			log_start_failure(server, local);
			return;
		}
		fd = local;
	}
	const int r = http_connection_start(endpoint, fd, &peer, slot);
	if (r < 0)
		log_start_failure(server, r);
}

static void on_accept(evutil_socket_t listener, short events, void *ctx)
{
	struct http_endpoint *endpoint = ctx;

	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0 && endpoint->tcp)
			start_tcp_connection(endpoint, fd);
		else if (fd >= 0)
			(void)start_local_connection(endpoint, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			pause_accepting(endpoint);
			return;
		} else if (errno == EAGAIN)
			return;
	}
}

int http_server_adopt(struct http_server *server, int fd)
{
	if (!server->local.mhd) {
		close(fd);
		return -ENOTSUP;
	}
	return start_local_connection(&server->local, fd);
}

/* --- start --- */

/* The last message before a failed start is its cause. Later messages are about clients. */
__attribute__((format(printf, 2, 0))) static void record_mhd_error(void *ctx, const char *fmt, va_list args)
{
	struct http_server *server = ctx;

	vsnprintf(server->mhd_error, sizeof(server->mhd_error), fmt, args);
	server->mhd_error[strcspn(server->mhd_error, "\n")] = '\0';
}

/* Turns the library's decoding off: we decode. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *mhd, char *text)
{
	(void)ctx;
	(void)mhd;
	return strlen(text);
}

static struct MHD_Daemon *start_mhd(struct http_endpoint *endpoint)
{
	struct http_server *server = endpoint->server;

	/* The library adds a connection at once only without its locks. */
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_THREAD_SAFETY | MHD_USE_NO_LISTEN_SOCKET |
					MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
				0, NULL, NULL, http_request_access, endpoint, MHD_OPTION_EXTERNAL_LOGGER,
				record_mhd_error, server, MHD_OPTION_CONNECTION_LIMIT,
				server->connections + CONNECTIONS_SLACK, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				CONNECTION_POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, server->idle_timeout_s,
				MHD_OPTION_URI_LOG_CALLBACK, http_request_line, endpoint, MHD_OPTION_UNESCAPE_CALLBACK,
				keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, endpoint,
				MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify, endpoint,
				MHD_OPTION_CLIENT_DISCIPLINE_LVL, DISCIPLINE, MHD_OPTION_END);
}

static int start_accepting(struct http_endpoint *endpoint, struct error *err)
{
	struct event_base *loop = endpoint->server->loop;

	endpoint->accept_event = event_new(loop, endpoint->listener, EV_READ | EV_PERSIST, on_accept, endpoint);
	endpoint->pause = evtimer_new(loop, on_pause_over, endpoint);
	if (!endpoint->accept_event || !endpoint->pause || event_add(endpoint->accept_event, NULL) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int start_endpoint(struct http_endpoint *endpoint, struct error *err)
{
	struct event_base *loop = endpoint->server->loop;
	const union MHD_DaemonInfo *info;

	endpoint->mhd = start_mhd(endpoint);
	if (!endpoint->mhd)
		return error_set(err, -EIO, "cannot start the HTTP server%s%s",
				 endpoint->server->mhd_error[0] ? ": " : "", endpoint->server->mhd_error);
	info = MHD_get_daemon_info(endpoint->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return error_set(err, -ENOTSUP, "libmicrohttpd was built without epoll");
	endpoint->ready = event_new(loop, info->epoll_fd, EV_READ | EV_PERSIST, on_ready, endpoint);
	endpoint->timer = evtimer_new(loop, on_ready, endpoint);
	if (!endpoint->ready || !endpoint->timer || event_add(endpoint->ready, NULL) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return endpoint->listener < 0 ? 0 : start_accepting(endpoint, err);
}

static int check_tcp(const struct http_server_options *options, struct error *err)
{
	const char *token = options->secret ? secret_get(options->secret) : options->token;

	if (!token || !*token)
		return error_set(err, -EINVAL, "%s: listening on TCP requires a token, and none is set",
				 options->listen);
	if (!options->cert_file != !options->key_file)
		return error_set(err, -EINVAL, "%s: certificate and key must be set together", options->listen);
	return 0;
}

static void log_handshake_failure(void *ctx, const char *network, const char *error)
{
	(void)ctx;
	log_debug(api, "api-handshake-failed", log_str("peer", network), log_str("error", error));
}

static void log_certificate(void *ctx, const char *cert_file, const char *error)
{
	(void)ctx;
	if (error)
		log_warning("api-certificate-unread", log_str("error", error),
			    log_str("hint", "connections go on with the older certificate"));
	else
		log_notice("api-certificate-changed", log_str("file", cert_file));
}

static int start_tcp(struct http_server *server, const struct http_server_options *options, struct error *err)
{
	struct http_endpoint *endpoint = &server->remote;
	bool loopback;
	int r = check_tcp(options, err);

	if (r < 0)
		return r;
	if (!options->secret)
		server->own_token = secret_new(options->token, NULL, NULL, NULL);
	server->token = options->secret ? options->secret : server->own_token;
	server->slots = connection_slots_new(server->connections, server->peer_connections);
	if (!server->token || !server->slots)
		return error_set(err, -ENOMEM, "out of memory");
	endpoint->listener = http_listen_tcp(options->listen, &loopback, err);
	if (endpoint->listener < 0)
		return endpoint->listener;
	if (!loopback && !options->cert_file)
		return error_set(err, -EINVAL, "%s: a certificate and key are required unless the address is loopback",
				 options->listen);
	if (options->cert_file) {
		server->tls = tls_server_new(
			&(struct tls_server_options){
				.cert_file = options->cert_file,
				.key_file = options->key_file,
				.handshake_failed = log_handshake_failure,
				.certificate_changed = log_certificate,
			},
			err);
		if (!server->tls)
			return -EINVAL;
	}
	return start_endpoint(endpoint, err);
}

/* --- a socket that is removed --- */

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

/* Connections that are open stay so. */
static void replace_socket(struct http_server *server)
{
	struct http_endpoint *endpoint = &server->local;
	struct error err;
	struct http_socket_file *socket = http_socket_file_new(server->socket_path, server->socket_group, &err);
	uint64_t suppressed;

	if (socket) {
		free_event(take(endpoint->accept_event));
		free_event(take(endpoint->pause));
		http_socket_file_free(server->socket);
		server->socket = socket;
		endpoint->listener = http_socket_file_fd(socket);
		if (start_accepting(endpoint, &err) == 0) {
			log_notice("api-socket-made-again", log_str("socket", server->socket_path));
			return;
		}
	}
	if (log_rate_allow(&server->failures, &suppressed))
		log_warning("api-socket-gone", log_str("error", err.text), log_uint("suppressed", suppressed));
}

static void on_socket_check(evutil_socket_t fd, short events, void *ctx)
{
	struct http_server *server = ctx;

	(void)fd;
	(void)events;
	if (http_socket_file_is_gone(server->socket))
		replace_socket(server);
}

static int watch_socket(struct http_server *server, const struct http_server_options *options)
{
	static const struct timeval interval = {.tv_sec = SOCKET_CHECK_S};

	server->socket_path = strdup(options->socket);
	server->socket_group = strdup(options->group ? options->group : "");
	server->socket_check = event_new(server->loop, -1, EV_PERSIST, on_socket_check, server);
	return server->socket_path && server->socket_group && server->socket_check &&
			       event_add(server->socket_check, &interval) == 0
		       ? 0
		       : -ENOMEM;
}

static int start_local(struct http_server *server, const struct http_server_options *options, struct error *err)
{
	if (options->socket && options->socket[0]) {
		server->socket = http_socket_file_new(options->socket, options->group, err);
		if (!server->socket)
			return -EIO;
		if (watch_socket(server, options) < 0)
			return error_set(err, -ENOMEM, "out of memory");
		server->local.listener = http_socket_file_fd(server->socket);
	}
	return start_endpoint(&server->local, err);
}

static unsigned or_default(unsigned value, unsigned fallback)
{
	return value ? value : fallback;
}

struct http_server *http_server_new(const struct http_server_options *options, struct error *err)
{
	cleanup(cleanup_http_server) struct http_server *server = calloc(1, sizeof(*server));

	if (!server) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	server->loop = options->loop;
	server->routes = options->routes;
	server->route_count = options->route_count;
	server->ctx = options->ctx;
	server->guests = options->guests;
	server->request_timeout_ms = or_default(options->request_timeout_ms, HTTP_REQUEST_TIMEOUT_MS);
	server->login_timeout_ms = or_default(options->login_timeout_ms, HTTP_LOGIN_TIMEOUT_MS);
	server->idle_timeout_s = or_default(options->idle_timeout_s, HTTP_IDLE_TIMEOUT_S);
	server->heartbeat_ms = or_default(options->heartbeat_ms, HTTP_SSE_HEARTBEAT_MS);
	server->connections = or_default(options->connections, HTTP_CONNECTIONS_MAX);
	server->peer_connections = or_default(options->peer_connections, HTTP_PEER_CONNECTIONS_MAX);
	server->refusals.burst = server->failures.burst = 5;
	server->local = (struct http_endpoint){.server = server, .listener = -1};
	server->remote = (struct http_endpoint){.server = server, .listener = -1, .tcp = true};
	if (start_local(server, options, err) < 0)
		return NULL;
	if (options->listen && options->listen[0] && start_tcp(server, options, err) < 0)
		return NULL;
	return take(server);
}

/* --- stop --- */

static void stop_endpoint(struct http_endpoint *endpoint)
{
	free_event(endpoint->accept_event);
	free_event(endpoint->pause);
	if (endpoint->mhd) {
		for (struct http_connection *connection = endpoint->first_connection; connection;
		     connection = connection->next) {
			if (connection->request)
				http_answer_unavailable(connection->request);
			http_connection_wake(connection);
		}
		for (int i = 0; i < FINAL_FLUSH_ROUNDS; i++)
			(void)MHD_run(endpoint->mhd);
		for (struct http_connection *connection = endpoint->first_connection; connection;
		     connection = connection->next)
			http_connection_wake(connection); /* the library requires that none is suspended */
		MHD_stop_daemon(endpoint->mhd);
	}
	free_event(endpoint->ready);
	free_event(endpoint->timer);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	server->stopping = true;
	free_event(server->socket_check);
	stop_endpoint(&server->remote);
	stop_endpoint(&server->local);
	tls_server_free(server->tls);
	connection_slots_free(server->slots);
	if (server->remote.listener >= 0)
		close(server->remote.listener);
	http_socket_file_free(server->socket);
	secret_free(server->own_token);
	free(server->socket_path);
	free(server->socket_group);
	free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	in_port_t port;

	if (server->remote.listener < 0 || getsockname(server->remote.listener, (struct sockaddr *)&address, &size) < 0)
		return 0;
	port = address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)&address)->sin6_port
					     : ((const struct sockaddr_in *)(const void *)&address)->sin_port;
	return ntohs(port);
}

size_t http_server_connections(const struct http_server *server)
{
	return server->local.connections + server->remote.connections;
}

/* --- counts --- */

void http_server_count(struct http_server *server, enum http_refusal refusal)
{
	server->refused[refusal]++;
}

struct http_server_counts http_server_counts(const struct http_server *server)
{
	struct http_server_counts counts = {.connections = http_server_connections(server)};

	memcpy(counts.refused, server->refused, sizeof(counts.refused));
	if (server->tls) {
		const struct tls_server_counts tls = tls_server_counts(server->tls);

		counts.refused[HTTP_REFUSED_HANDSHAKE] = tls.failed;
		counts.delayed_handshakes = tls.delayed;
	}
	return counts;
}

const char *http_refusal_name(enum http_refusal refusal)
{
	return refusal_names[refusal];
}
