/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our own view of a connection; libmicrohttpd owns the socket. It does what the library cannot: it requires a request
 * to arrive whole within a time from its first byte, whatever trickles in between, and it notices a client that leaves
 * while its answer is being prepared (the library does not look at a suspended connection).
 *
 * Both use one edge-triggered event on the library's socket. Its callback calls poll() to find the cause, because
 * libevent has no event for an error alone, and a level-triggered one would spin. The library itself limits how long a
 * connection may be idle and how long a client may take nothing. A connection is cut by shutting its socket down: the
 * library notices and closes it.
 *
 * The loop may report a request's bytes to us and to the library in the same round, and the library may answer before
 * our callback runs. So a connection becomes idle only at the loop's next callbacks: bytes reported earlier begin no
 * request.
 */
#include <errno.h>
#include <event2/event.h>
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
	const struct http_server *server = connection->endpoint->server;
	unsigned ms = connection->authorized ? server->request_timeout_ms : server->login_timeout_ms;
	struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_del(connection->deadline); /* it may be pending to set `idle` */
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
	http_server_count(connection->endpoint->server,
			  connection->authorized ? HTTP_REFUSED_REQUEST_TIMEOUT : HTTP_REFUSED_LOGIN_TIMEOUT);
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

void http_connection_authorized(struct http_connection *connection)
{
	if (connection->authorized)
		return;
	connection->authorized = true;
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
	if (is_peer_gone(connection->fd)) { /* left before the suspension */
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

/* --- start and end --- */

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
	connection_slot_release(connection->slot);
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

int http_connection_start(struct http_endpoint *endpoint, int fd, const struct http_peer *peer,
			  struct connection_slot *slot)
{
	/* Required by the library, which never reads more than the family. */
	struct sockaddr address = {.sa_family = endpoint->tcp && !endpoint->server->tls ? AF_INET : AF_UNIX};
	struct http_connection *connection = new_connection(endpoint, fd, peer);
	enum MHD_Result added;

	if (!connection) {
		connection_slot_release(slot);
		close(fd);
		return -ENOMEM;
	}
	connection->slot = slot;
	connection->authorized = !endpoint->tcp; /* one that may not use the socket is refused at once */
	set_deadline(connection);
	endpoint->being_added = connection;
	added = MHD_add_connection(endpoint->mhd, fd, &address, sizeof(address));
	if (endpoint->being_added) { /* the library closed the socket without a start notification */
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
