/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server: two libmicrohttpd daemons without threads and without listening sockets (one for unix connections, one
 * for TCP), which our loop runs whenever their epoll descriptor or next time-out requires it. We accept, so the limits
 * are ours: each kind has its own number of connections, and clients beyond it get a 503 instead of waiting. So TCP
 * clients, which may not have shown a token yet, cannot lock out local ones.
 *
 * A certificate that was replaced goes to one more of these daemons, which takes new TCP connections from then on; the
 * old one stays for its connections.
 *
 * libmicrohttpd is only ever run from the loop, never from within one of its callbacks.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "http/http_server_internal.h"
#include "http/http_socket.h"

#define ACCEPT_AT_ONCE 16
#define ACCEPT_PAUSE_MS 200
#define RETIRED_MAX 8	 /* older certificates with connections; a further one is read once one of these has none */
#define SOCKET_CHECK_S 2 /* between looks whether the unix socket still has its name */
#define CONNECTION_POOL_BYTES ((size_t)64 * 1024) /* of a connection: its head and pieces of its answer */
#define FINAL_FLUSH_ROUNDS 16			  /* at the end: each round advances every answer one step */
#define CONNECTIONS_SLACK 4 /* connections that libmicrohttpd may still count after we have freed them */
#define DISCIPLINE 2	    /* the strictest level that still takes blanks around a value */
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static const char too_many_connections[] =
	"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 33\r\n"
	"Connection: close\r\n\r\n{\"error\":\"too many connections\"}\n";

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

/* Out of descriptors or memory: the listening socket stays ready, so pause instead of spinning. */
static void pause_accepting(struct http_endpoint *endpoint)
{
	static const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
	uint64_t suppressed;

	if (log_rate_allow(&endpoint->server->failures, &suppressed))
		log_warning("api-accept", log_str("error", strerror(errno)), log_uint("suppressed", suppressed));
	event_del(endpoint->accept_event);
	(void)event_add(endpoint->pause, &pause);
}

static size_t count_tcp(const struct http_server *server)
{
	size_t count = server->remote.connections + (server->renewed ? server->renewed->connections : 0);

	for (const struct http_endpoint *old = server->retired; old; old = old->next)
		count += old->connections;
	return count;
}

static int start_connection(struct http_endpoint *endpoint, int fd)
{
	const size_t connections = endpoint->tcp ? count_tcp(endpoint->server) : endpoint->connections;
	struct http_peer peer;

	if (connections >= endpoint->server->connections) {
		if (!endpoint->tls)
			(void)send(fd, too_many_connections, sizeof(too_many_connections) - 1,
				   MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		return -EUSERS;
	}
	if (endpoint->tcp)
		http_peer_tcp(&peer, fd);
	else
		http_peer_unix(&peer, fd,
			       endpoint->server->socket ? http_socket_file_group(endpoint->server->socket) : (gid_t)-1);
	return http_connection_start(endpoint, fd, &peer);
}

static struct http_endpoint *current_endpoint(struct http_endpoint *endpoint);

static void on_accept(evutil_socket_t listener, short events, void *ctx)
{
	struct http_endpoint *endpoint = ctx;

	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			(void)start_connection(current_endpoint(endpoint), fd);
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
	return start_connection(&server->local, fd);
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

static struct MHD_Daemon *start_mhd(struct http_endpoint *endpoint, const char *cert, const char *key)
{
	struct http_server *server = endpoint->server;
	const struct MHD_OptionItem tls[] = {
		{.option = MHD_OPTION_HTTPS_MEM_CERT, .ptr_value = (void *)(uintptr_t)cert},
		{.option = MHD_OPTION_HTTPS_MEM_KEY, .ptr_value = (void *)(uintptr_t)key},
		{.option = MHD_OPTION_HTTPS_PRIORITIES, .ptr_value = (void *)(uintptr_t)TLS_VERSIONS},
		{.option = MHD_OPTION_END},
	};
	const struct MHD_OptionItem more[] = {
		{.option = MHD_OPTION_CLIENT_DISCIPLINE_LVL, .value = DISCIPLINE},
		{.option = endpoint->tls ? MHD_OPTION_ARRAY : MHD_OPTION_END, .ptr_value = (void *)(uintptr_t)tls},
		{.option = MHD_OPTION_END},
	};

	/* The library adds a connection at once only without its locks. */
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_THREAD_SAFETY | MHD_USE_NO_LISTEN_SOCKET |
					MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
					(endpoint->tls ? MHD_USE_TLS : 0),
				0, NULL, NULL, http_request_access, endpoint, MHD_OPTION_EXTERNAL_LOGGER,
				record_mhd_error, server, MHD_OPTION_CONNECTION_LIMIT,
				server->connections + CONNECTIONS_SLACK, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				CONNECTION_POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, server->idle_timeout_s,
				MHD_OPTION_URI_LOG_CALLBACK, http_request_line, endpoint, MHD_OPTION_UNESCAPE_CALLBACK,
				keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, endpoint,
				MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify, endpoint, MHD_OPTION_ARRAY, more,
				MHD_OPTION_END);
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

static int start_endpoint(struct http_endpoint *endpoint, const char *cert, const char *key, struct error *err)
{
	struct event_base *loop = endpoint->server->loop;
	const union MHD_DaemonInfo *info;

	endpoint->mhd = start_mhd(endpoint, cert, key);
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

static int read_pem(const char *path, struct buffer *pem, struct error *err)
{
	cleanup(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char block[4096];
	ssize_t got;
	int r = 0;

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	while (r == 0 && (got = read(fd, block, sizeof(block))) != 0)
		r = got < 0 ? -errno : buffer_append(pem, block, (size_t)got);
	explicit_bzero(block, sizeof(block));
	return r < 0 ? error_set(err, r, "%s: %s", path, r == -EMSGSIZE ? "too large" : strerror(-r)) : 0;
}

static void wipe_buffer(struct buffer *secret)
{
	if (secret->data)
		explicit_bzero(secret->data, secret->room);
	buffer_deinit(secret);
}

static int start_tls_endpoint(struct http_endpoint *endpoint, struct error *err)
{
	struct buffer cert = BUFFER_INIT(HTTP_PEM_BYTES_MAX), key = BUFFER_INIT(HTTP_PEM_BYTES_MAX);
	struct http_server *server = endpoint->server;

	server->cert_stamp = file_stamp_read(server->cert_file);
	server->key_stamp = file_stamp_read(server->key_file);
	int r = read_pem(server->cert_file, &cert, err);
	if (r == 0)
		r = read_pem(server->key_file, &key, err);
	if (r == 0)
		r = start_endpoint(endpoint, buffer_text(&cert), buffer_text(&key), err);
	wipe_buffer(&key);
	buffer_deinit(&cert);
	return r;
}

/* --- a certificate that is replaced --- */

static void stop_endpoint(struct http_endpoint *endpoint);

static void free_endpoint(struct http_endpoint *endpoint)
{
	if (!endpoint)
		return;
	stop_endpoint(endpoint);
	free(endpoint);
}

/* Frees those without connections. Returns how many are left. */
static unsigned free_retired(struct http_server *server)
{
	unsigned left = 0;

	for (struct http_endpoint **at = &server->retired; *at;) {
		struct http_endpoint *endpoint = *at;

		if (endpoint->connections) {
			at = &endpoint->next;
			left++;
			continue;
		}
		*at = endpoint->next;
		free_endpoint(endpoint);
	}
	return left;
}

/* libmicrohttpd keeps the certificate it was started with: another of its daemons takes new connections. */
static void renew_certificate(struct http_server *server)
{
	struct http_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	struct error err;

	if (!endpoint)
		return;
	*endpoint = (struct http_endpoint){.server = server, .listener = -1, .tcp = true, .tls = true};
	if (start_tls_endpoint(endpoint, &err) < 0) {
		log_warning("api-certificate-unread", log_str("error", err.text),
			    log_str("hint", "connections go on with the older certificate"));
		free_endpoint(endpoint);
		return;
	}
	if (server->renewed) {
		server->renewed->next = server->retired;
		server->retired = server->renewed;
	}
	server->renewed = endpoint;
	log_notice("api-certificate-changed", log_str("file", server->cert_file));
}

/* Where a connection accepted on this endpoint belongs. */
static struct http_endpoint *current_endpoint(struct http_endpoint *endpoint)
{
	struct http_server *server = endpoint->server;

	if (!endpoint->tls)
		return endpoint;
	const struct file_stamp cert = file_stamp_read(server->cert_file), key = file_stamp_read(server->key_file);
	const bool same = file_stamp_equal(&cert, &server->cert_stamp) && file_stamp_equal(&key, &server->key_stamp);
	if (!same && free_retired(server) < RETIRED_MAX)
		renew_certificate(server);
	return server->renewed ? server->renewed : endpoint;
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
	if (options->cert_file) {
		server->cert_file = strdup(options->cert_file);
		server->key_file = strdup(options->key_file);
	}
	if (!server->token || (options->cert_file && (!server->cert_file || !server->key_file)))
		return error_set(err, -ENOMEM, "out of memory");
	endpoint->tls = options->cert_file;
	endpoint->listener = http_listen_tcp(options->listen, &loopback, err);
	if (endpoint->listener < 0)
		return endpoint->listener;
	if (!loopback && !endpoint->tls)
		return error_set(err, -EINVAL, "%s: a certificate and key are required unless the address is loopback",
				 options->listen);
	return endpoint->tls ? start_tls_endpoint(endpoint, err) : start_endpoint(endpoint, "", "", err);
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
	return start_endpoint(&server->local, NULL, NULL, err);
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
	server->request_timeout_ms = or_default(options->request_timeout_ms, HTTP_REQUEST_TIMEOUT_MS);
	server->idle_timeout_s = or_default(options->idle_timeout_s, HTTP_IDLE_TIMEOUT_S);
	server->heartbeat_ms = or_default(options->heartbeat_ms, HTTP_SSE_HEARTBEAT_MS);
	server->connections = or_default(options->connections, HTTP_CONNECTIONS_MAX);
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
	while (server->retired) {
		struct http_endpoint *endpoint = server->retired;

		server->retired = endpoint->next;
		free_endpoint(endpoint);
	}
	free_endpoint(server->renewed);
	stop_endpoint(&server->remote);
	stop_endpoint(&server->local);
	if (server->remote.listener >= 0)
		close(server->remote.listener);
	http_socket_file_free(server->socket);
	secret_free(server->own_token);
	free(server->cert_file);
	free(server->key_file);
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
	return server->local.connections + count_tcp(server);
}
