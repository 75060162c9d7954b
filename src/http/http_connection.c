/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection as we see it beside libmicrohttpd, which owns the socket. What the library cannot do is done here: a
 * request must have arrived whole within a time from its first byte, whatever trickles in between; and a client that
 * goes while its answer is being worked on is noticed (the library does not look at a suspended connection).
 *
 * Both come from one edge-triggered event on the library's socket. Its callback asks poll() what is the matter, because
 * libevent has no event for an error alone, and a level-triggered one would spin. Time limits for an idle connection
 * and for a client that takes nothing are the library's own. A connection is cut by shutting its socket down: the
 * library finds out and closes it in its own way.
 *
 * The loop may have noted a request's bytes for us and for the library at once, and the library answer before we are
 * called. So a connection is idle only from the loop's next callbacks on: what was noted before begins no request.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "http/http_server_internal.h"

static bool is_peer_gone(int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLRDHUP};

	return poll(&polled, 1, 0) > 0 && polled.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void set_deadline(struct http_connection *connection)
{
	unsigned ms = connection->endpoint->server->request_timeout_ms;
	struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_del(connection->deadline); /* settles no more */
	connection->idle = connection->becoming_idle = false;
	(void)event_add(connection->deadline, &timeout);
}

static void on_deadline(evutil_socket_t fd, short events, void *ctx)
{
	struct http_connection *connection = ctx;

	(void)fd;
	(void)events;
	if (connection->becoming_idle) {
		connection->becoming_idle = false;
		connection->idle = true;
		return;
	}
	shutdown(connection->fd, SHUT_RDWR);
}

static void on_activity(evutil_socket_t fd, short events, void *ctx)
{
	struct http_connection *connection = ctx;

	(void)events;
	if (connection->idle)
		set_deadline(connection);
	if (connection->suspended && is_peer_gone(fd)) {
		connection->gone = true;
		http_connection_wake(connection);
	}
}

void http_connection_request_started(struct http_connection *connection)
{
	if (connection->idle || connection->becoming_idle)
		set_deadline(connection);
}

void http_connection_request_received(struct http_connection *connection)
{
	event_del(connection->deadline);
}

void http_connection_request_done(struct http_connection *connection)
{
	event_del(connection->deadline);
	connection->request = NULL;
	connection->becoming_idle = true;
	event_active(connection->deadline, EV_TIMEOUT, 0);
}

void http_connection_suspend(struct http_connection *connection)
{
	connection->suspended = true;
	MHD_suspend_connection(connection->mhd);
	if (is_peer_gone(connection->fd)) { /* before we cared */
		connection->gone = true;
		http_connection_wake(connection);
	}
}

void http_connection_wake(struct http_connection *connection)
{
	if (!connection->suspended)
		return;
	connection->suspended = false;
	MHD_resume_connection(connection->mhd);
	http_endpoint_schedule(connection->endpoint);
}

/* --- its beginning and end --- */

static void free_connection(struct http_connection *connection)
{
	struct http_endpoint *endpoint = connection->endpoint;

	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else if (endpoint->first_connection == connection)
		endpoint->first_connection = connection->next;
	endpoint->connections--;
	if (connection->activity)
		event_free(connection->activity);
	if (connection->deadline)
		event_free(connection->deadline);
	free(connection);
}

static struct http_connection *new_connection(struct http_endpoint *endpoint, int fd, const struct http_peer *peer)
{
	struct http_connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->endpoint = endpoint;
	connection->fd = fd;
	connection->peer = *peer;
	connection->next = endpoint->first_connection;
	if (connection->next)
		connection->next->previous = connection;
	endpoint->first_connection = connection;
	endpoint->connections++;
	connection->activity = event_new(endpoint->server->loop, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST,
					 on_activity, connection);
	connection->deadline = evtimer_new(endpoint->server->loop, on_deadline, connection);
	if (!connection->activity || !connection->deadline || event_add(connection->activity, NULL) < 0) {
		free_connection(connection);
		return NULL;
	}
	return connection;
}

/* A TCP peer that has vanished without a word: what it does not acknowledge, or does not answer, ends the connection.
 */
static void set_tcp_timeouts(const struct http_connection *connection)
{
	unsigned ms = connection->endpoint->server->idle_timeout_s * 1000;
	int on = 1, idle_s = (int)connection->endpoint->server->idle_timeout_s;

	(void)setsockopt(connection->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

int http_connection_start(struct http_endpoint *endpoint, int fd, const struct http_peer *peer)
{
	struct sockaddr address = {.sa_family = endpoint->tcp ? AF_INET
							      : AF_UNIX}; /* the library wants one; nobody reads it */
	struct http_connection *connection = new_connection(endpoint, fd, peer);
	enum MHD_Result added;

	if (!connection) {
		close(fd);
		return -ENOMEM;
	}
	if (endpoint->tcp)
		set_tcp_timeouts(connection);
	set_deadline(connection);
	endpoint->being_added = connection;
	added = MHD_add_connection(endpoint->mhd, fd, &address, sizeof(address));
	if (endpoint->being_added) { /* the library has closed the socket without having told of a start */
		free_connection(endpoint->being_added);
		endpoint->being_added = NULL;
	}
	http_endpoint_schedule(endpoint);
	return added == MHD_YES ? 0 : -EIO;
}

void http_connection_notify(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
			    enum MHD_ConnectionNotificationCode what)
{
	struct http_endpoint *endpoint = ctx;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_ctx = take(endpoint->being_added);
		((struct http_connection *)*socket_ctx)->mhd = mhd;
	} else if (*socket_ctx) { /* the socket is still open */
		free_connection(*socket_ctx);
		*socket_ctx = NULL;
	}
}
