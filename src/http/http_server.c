/*
 * The server: two libmicrohttpd daemons without threads and without listening sockets of their own (one for unix
 * connections, one for TCP), each run by our loop whenever its epoll descriptor or its next time-out says so. We
 * accept, so that the limits are ours: each kind has its own number of connections, and whoever comes beyond it is told
 * so, not left waiting. TCP clients, who need not have shown a token yet, cannot lock out local ones.
 *
 * libmicrohttpd is only ever run from the loop, never from within a callback of its own.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "http/http_server_internal.h"
#include "http/http_socket.h"

#define ACCEPT_AT_ONCE 16
#define ACCEPT_PAUSE_MS 200
#define POOL_BYTES ((size_t)64 * 1024) /* of a connection: its head, and pieces of its answer */
#define FLUSH_ROUNDS 16		       /* at the end: each lets every answer go one step on */
#define SLACK 4			       /* connections that libmicrohttpd may count before we have heard of their end */
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static const char full[] =
	"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 33\r\n"
	"Connection: close\r\n\r\n{\"error\":\"too many connections\"}\n";

/* --- libmicrohttpd on the loop ----------------------------------------------------------------------------------- */

static void set_timer(struct http_side *side)
{
	MHD_UNSIGNED_LONG_LONG ms;
	struct timeval timeout;

	if (side->kicked) { /* while it ran; a time-out set now would undo that */
		event_active(side->timer, EV_TIMEOUT, 0);
		return;
	}
	if (MHD_get_timeout(side->mhd, &ms) != MHD_YES) {
		event_del(side->timer);
		return;
	}
	timeout = (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	(void)event_add(side->timer, &timeout);
}

static void on_ready(evutil_socket_t fd, short events, void *ctx)
{
	struct http_side *side = ctx;

	(void)fd;
	(void)events;
	side->kicked = false;
	(void)MHD_run(side->mhd);
	set_timer(side);
}

void http_side_kick(struct http_side *side)
{
	side->kicked = true;
	event_active(side->timer, EV_TIMEOUT, 0);
}

/* --- accepting --------------------------------------------------------------------------------------------------- */

static void on_pause_over(evutil_socket_t fd, short events, void *ctx)
{
	struct http_side *side = ctx;

	(void)fd;
	(void)events;
	(void)event_add(side->accepting, NULL);
}

/* Out of descriptors or memory: the listening socket stays ready, so it is left alone for a while. */
static void pause_accepting(struct http_side *side)
{
	static const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
	uint64_t suppressed;

	if (log_rate_allow(&side->server->failures, &suppressed))
		log_warning("api-accept", log_str("error", strerror(errno)), log_uint("suppressed", suppressed));
	event_del(side->accepting);
	(void)event_add(side->pause, &pause);
}

static int start_connection(struct http_side *side, int fd)
{
	struct http_peer peer;

	if (side->connections >= side->server->connections) {
		if (!side->tls)
			(void)send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		return -EUSERS;
	}
	if (side->tcp)
		http_peer_tcp(&peer, fd);
	else
		http_peer_unix(&peer, fd,
			       side->server->socket ? http_socket_file_group(side->server->socket) : (gid_t)-1);
	return http_connection_start(side, fd, &peer);
}

static void on_accept(evutil_socket_t listener, short events, void *ctx)
{
	struct http_side *side = ctx;

	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			(void)start_connection(side, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			return pause_accepting(side);
		else if (errno == EAGAIN)
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

/* --- its beginning ----------------------------------------------------------------------------------------------- */

/* While it starts its last word is why it doesn't; afterwards it speaks of what clients do. */
__attribute__((format(printf, 2, 0))) static void note_mhd(void *ctx, const char *fmt, va_list args)
{
	struct http_server *server = ctx;

	vsnprintf(server->mhd_says, sizeof(server->mhd_says), fmt, args);
	server->mhd_says[strcspn(server->mhd_says, "\n")] = '\0';
}

/* We decode ourselves; the library's own decoding is not asked for. */
static size_t leave_escaped(void *ctx, struct MHD_Connection *mhd, char *text)
{
	(void)ctx;
	(void)mhd;
	return strlen(text);
}

/* From 0.9.77 on a connection is added at once, as before it always was, only without the library's locks. */
#if MHD_VERSION >= 0x00097707
#define AT_ONCE MHD_USE_NO_THREAD_SAFETY
#else
#define AT_ONCE 0
#endif

static struct MHD_Daemon *start_mhd(struct http_side *side, const char *cert, const char *key)
{
	struct http_server *server = side->server;
	const struct MHD_OptionItem tls[] = {
		{.option = MHD_OPTION_HTTPS_MEM_CERT, .ptr_value = (void *)(uintptr_t)cert},
		{.option = MHD_OPTION_HTTPS_MEM_KEY, .ptr_value = (void *)(uintptr_t)key},
		{.option = MHD_OPTION_HTTPS_PRIORITIES, .ptr_value = (void *)(uintptr_t)TLS_VERSIONS},
		{.option = MHD_OPTION_END},
	};
	const struct MHD_OptionItem more[] = {
#if MHD_VERSION >= 0x00097701
		{.option = MHD_OPTION_CLIENT_DISCIPLINE_LVL, .value = 2},
#endif
		{.option = side->tls ? MHD_OPTION_ARRAY : MHD_OPTION_END, .ptr_value = (void *)(uintptr_t)tls},
		{.option = MHD_OPTION_END},
	};

	return MHD_start_daemon(MHD_USE_EPOLL | AT_ONCE | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
					MHD_USE_ERROR_LOG | (side->tls ? MHD_USE_TLS : 0),
				0, NULL, NULL, http_request_access, side, MHD_OPTION_EXTERNAL_LOGGER, note_mhd, server,
				MHD_OPTION_CONNECTION_LIMIT, server->connections + SLACK,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
				server->stall_s, MHD_OPTION_URI_LOG_CALLBACK, http_request_line, side,
				MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED,
				http_request_completed, side, MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify,
				side, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
}

static int start_side(struct http_side *side, const char *cert, const char *key, struct error *err)
{
	struct event_base *loop = side->server->loop;
	const union MHD_DaemonInfo *info;

	side->mhd = start_mhd(side, cert, key);
	if (!side->mhd)
		return error_set(err, -EIO, "the HTTP server does not start%s%s", side->server->mhd_says[0] ? ": " : "",
				 side->server->mhd_says);
	info = MHD_get_daemon_info(side->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return error_set(err, -ENOTSUP, "libmicrohttpd was built without epoll");
	side->ready = event_new(loop, info->epoll_fd, EV_READ | EV_PERSIST, on_ready, side);
	side->timer = evtimer_new(loop, on_ready, side);
	if (!side->ready || !side->timer || event_add(side->ready, NULL) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (side->listener < 0)
		return 0;
	side->accepting = event_new(loop, side->listener, EV_READ | EV_PERSIST, on_accept, side);
	side->pause = evtimer_new(loop, on_pause_over, side);
	if (!side->accepting || !side->pause || event_add(side->accepting, NULL) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
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

static void forget(struct buffer *secret)
{
	if (secret->data)
		explicit_bzero(secret->data, secret->room);
	buffer_deinit(secret);
}

/* What must hold before anybody may listen on TCP. */
static int check_tcp(const struct http_server_options *options, struct error *err)
{
	if (!options->token || !options->token[0])
		return error_set(err, -EINVAL, "%s: no token is set, and without one nobody may listen on TCP",
				 options->listen);
	if (!options->cert_file != !options->key_file)
		return error_set(err, -EINVAL, "%s: certificate and key go together", options->listen);
	return 0;
}

static int start_tcp(struct http_server *server, const struct http_server_options *options, struct error *err)
{
	struct http_side *side = &server->remote;
	struct buffer cert = BUFFER_INIT(HTTP_PEM_MAX), key = BUFFER_INIT(HTTP_PEM_MAX);
	bool loopback;
	int r = check_tcp(options, err);

	if (r < 0)
		return r;
	server->token = strdup(options->token);
	if (!server->token)
		return error_set(err, -ENOMEM, "out of memory");
	side->tls = options->cert_file;
	side->listener = http_listen_tcp(options->listen, &loopback, err);
	if (side->listener < 0)
		return side->listener;
	if (!loopback && !side->tls)
		return error_set(err, -EINVAL, "%s: beyond this host a certificate and key are needed",
				 options->listen);
	if (side->tls) {
		r = read_pem(options->cert_file, &cert, err);
		if (r == 0)
			r = read_pem(options->key_file, &key, err);
	}
	if (r == 0)
		r = start_side(side, buffer_text(&cert), buffer_text(&key), err);
	forget(&key);
	buffer_deinit(&cert);
	return r;
}

static int start_local(struct http_server *server, const struct http_server_options *options, struct error *err)
{
	if (options->socket && options->socket[0]) {
		server->socket = http_socket_file_new(options->socket, options->group, err);
		if (!server->socket)
			return -EIO;
		server->local.listener = http_socket_file_fd(server->socket);
	}
	return start_side(&server->local, NULL, NULL, err);
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
	server->arrival_ms = or_default(options->arrival_ms, HTTP_ARRIVAL_MS);
	server->stall_s = or_default(options->stall_s, HTTP_STALL_S);
	server->heartbeat_ms = or_default(options->heartbeat_ms, HTTP_SSE_HEARTBEAT_MS);
	server->connections = or_default(options->connections, HTTP_CONNECTIONS_MAX);
	server->refusals.burst = server->failures.burst = 5;
	server->local = (struct http_side){.server = server, .listener = -1};
	server->remote = (struct http_side){.server = server, .listener = -1, .tcp = true};
	if (start_local(server, options, err) < 0)
		return NULL;
	if (options->listen && options->listen[0] && start_tcp(server, options, err) < 0)
		return NULL;
	return take(server);
}

/* --- its end ----------------------------------------------------------------------------------------------------- */

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

static void stop_side(struct http_side *side)
{
	free_event(side->accepting);
	free_event(side->pause);
	if (side->mhd) {
		for (struct http_connection *connection = side->first; connection; connection = connection->next) {
			if (connection->request)
				http_answer_stopping(connection->request);
			http_connection_wake(connection);
		}
		for (int i = 0; i < FLUSH_ROUNDS; i++)
			(void)MHD_run(side->mhd);
		for (struct http_connection *connection = side->first; connection; connection = connection->next)
			http_connection_wake(connection); /* the library wants none suspended */
		MHD_stop_daemon(side->mhd);
	}
	free_event(side->ready);
	free_event(side->timer);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	server->stopping = true;
	stop_side(&server->remote);
	stop_side(&server->local);
	if (server->remote.listener >= 0)
		close(server->remote.listener);
	http_socket_file_free(server->socket);
	if (server->token) {
		explicit_bzero(server->token, strlen(server->token));
		free(server->token);
	}
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
