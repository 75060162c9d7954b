/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each client has a buffer that grows to its longest message. What a client sends beyond that waits in the kernel. A
 * client over TLS is a local socket of the TLS thread's, which ends if the handshake fails.
 */
#include "trigger/line_input.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/log.h"
#include "net/connection_slots.h"
#include "net/peer_address.h"
#include "net/tls_server.h"
#include "trigger/input_address.h"
#include "trigger/line_frame.h"

#define CHUNK 65536
#define BACKLOG 64
#define SLOTS (2 * LINE_CLIENTS_MAX) /* the TLS thread lets go of a slot a little later than its client is gone */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 6

struct client {
	LIST_ENTRY(client) list;
	struct line_input *input;
	struct event *readable;
	struct buffer text;
	struct connection_slot *slot; /* of TCP */
	int fd;
};

struct line_input {
	struct event_base *loop;
	struct trigger_handler handler;
	struct input_address address;
	struct event *acceptable;
	LIST_HEAD(, client) clients;
	size_t client_count;
	struct connection_slots *slots; /* of TCP connections */
	struct tls_server *tls;		/* NULL: no TLS */
	struct log_rate rate, handshake_rate;
	char *origin;
	int fd;
};

static void drop(struct client *client)
{
	struct line_input *input = client->input;

	LIST_REMOVE(client, list);
	if (client->readable)
		event_free(client->readable);
	close(client->fd);
	connection_slot_release(client->slot);
	buffer_deinit(&client->text);
	free(client);
	if (input->client_count-- == LINE_CLIENTS_MAX)
		event_add(input->acceptable, NULL);
}

static void pass_on(const struct line_input *input, const struct line_frame *frame)
{
	const struct trigger_message message = {.origin = input->origin, .bytes = frame->text, .size = frame->size};

	if (frame->size)
		input->handler.message(input->handler.ctx, &message);
}

static void warn(struct line_input *input, const char *error)
{
	uint64_t suppressed;

	if (log_rate_allow(&input->rate, &suppressed))
		log_warning("input-client-dropped", log_str("input", input->origin), log_str("error", error),
			    log_uint("suppressed", suppressed));
}

/* Passes on the messages; returns what stopped it. `last`: the client has ended. */
static enum line_frame_kind take_messages(struct client *client, bool last)
{
	const char *text = buffer_text(&client->text);
	const size_t size = client->text.size;
	enum line_frame_kind kind;
	struct line_frame frame;
	size_t at = 0;

	while ((kind = last ? line_frame_last(text + at, size - at, &frame)
			    : line_frame_first(text + at, size - at, &frame)) == LINE_FRAME_WHOLE) {
		pass_on(client->input, &frame);
		at += frame.taken;
	}
	if (at) {
		memmove(client->text.data, client->text.data + at, size - at);
		client->text.size -= at;
		client->text.data[client->text.size] = '\0';
	}
	return kind;
}

/* Nothing that a client sends after this could be told apart. */
static void refuse(struct client *client, const char *why)
{
	const struct line_input *input = client->input;
	const struct trigger_message message = {.origin = input->origin, .bytes = "", .refusal = why};

	warn(client->input, why);
	input->handler.message(input->handler.ctx, &message);
}

static void end_client(struct client *client)
{
	if (take_messages(client, true) == LINE_FRAME_CUT_OFF)
		refuse(client, "its last message is cut off");
	drop(client);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct client *client = ctx;
	char chunk[CHUNK];
	const ssize_t size = recv(fd, chunk, sizeof(chunk), 0);

	(void)what;
	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (size <= 0) {
		end_client(client);
	} else if (buffer_append(&client->text, chunk, (size_t)size) < 0 ||
		   take_messages(client, false) == LINE_FRAME_TOO_LONG) {
		refuse(client, "a message is too long");
		drop(client);
	}
}

/* The client owns the socket and the hold of the slot. */
static void add_client(struct line_input *input, int fd, struct connection_slot *slot)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		connection_slot_release(slot);
		return;
	}
	client->input = input;
	client->fd = fd;
	client->slot = slot;
	client->text = (struct buffer)BUFFER_INIT(LINE_BYTES_MAX + CHUNK);
	LIST_INSERT_HEAD(&input->clients, client, list);
	if (++input->client_count == LINE_CLIENTS_MAX)
		event_del(input->acceptable);
	client->readable = event_new(input->loop, fd, EV_READ | EV_PERSIST, on_readable, client);
	if (!client->readable || event_add(client->readable, NULL) < 0)
		drop(client);
}

/* A peer that is gone without a word is found out. */
static void set_keepalive(int fd)
{
	const int on = 1, idle_s = KEEPALIVE_IDLE_S, interval_s = KEEPALIVE_INTERVAL_S, probes = KEEPALIVE_PROBES;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void add_tcp_client(struct line_input *input, int fd)
{
	struct peer_address peer;
	bool network_full;

	peer_address_of(&peer, fd);
	struct connection_slot *slot = connection_slots_take(input->slots, peer.network, &network_full);
	if (!slot) {
		warn(input, network_full ? "too many clients of one address" : "too many clients");
		close(fd);
		return;
	}
	set_keepalive(fd);
	if (input->tls) {
		fd = tls_server_start(input->tls, fd, slot);
		if (fd < 0) {
			warn(input, strerror(-fd));
			connection_slot_release(slot);
			return;
		}
	}
	add_client(input, fd, slot);
}

static void on_acceptable(evutil_socket_t fd, short what, void *ctx)
{
	struct line_input *input = ctx;
	const int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (client < 0)
		return;
	if (input->address.is_path)
		add_client(input, client, NULL);
	else
		add_tcp_client(input, client);
}

/* --- TLS --- */

/* From the TLS thread, which alone uses this rate. */
static void on_handshake_failed(void *ctx, const char *network, const char *error)
{
	struct line_input *input = ctx;
	uint64_t suppressed;

	if (log_rate_allow(&input->handshake_rate, &suppressed))
		log_warning("input-handshake-failed", log_str("input", input->origin), log_str("peer", network),
			    log_str("error", error), log_uint("suppressed", suppressed));
}

static void on_certificate_changed(void *ctx, const char *cert_file, const char *error)
{
	const struct line_input *input = ctx;

	if (error)
		log_warning("input-certificate-unread", log_str("input", input->origin), log_str("error", error),
			    log_str("hint", "connections go on with the older certificate"));
	else
		log_notice("input-certificate-changed", log_str("input", input->origin), log_str("file", cert_file));
}

static int start_tls(struct line_input *input, const struct line_input_tls *tls, struct error *err)
{
	const struct tls_server_options options = {
		.cert_file = tls->cert_file,
		.key_file = tls->key_file,
		.ca_file = tls->ca_file,
		.handshake_failed = on_handshake_failed,
		.certificate_changed = on_certificate_changed,
		.ctx = input,
	};

	input->tls = tls_server_new(&options, err);
	return input->tls ? 0 : -EINVAL;
}

static int open_socket(struct line_input *input, const char *address, const struct line_input_tls *tls,
		       struct error *err)
{
	int r = input_address_parse(address, &input->address, err);

	if (r < 0)
		return r;
	if (tls && input->address.is_path)
		return error_set(err, -EINVAL, "TLS needs a numeric host and a port, such as 0.0.0.0:6514");
	if (asprintf(&input->origin, "%s:%s", input->address.is_path ? "unix" : tls ? "tls" : "tcp", address) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	r = tls ? start_tls(input, tls, err) : 0;
	if (r < 0)
		return r;
	input->fd = input_address_bind(&input->address, SOCK_STREAM, address, err);
	if (input->fd < 0)
		return input->fd;
	return listen(input->fd, BACKLOG) < 0 ? error_set(err, -errno, "%s: %s", address, strerror(errno)) : 0;
}

struct line_input *line_input_new(struct event_base *loop, const char *address, const struct line_input_tls *tls,
				  struct trigger_handler handler, struct error *err)
{
	cleanup(cleanup_line_input) struct line_input *input = calloc(1, sizeof(*input));

	if (!input) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	input->fd = -1;
	input->loop = loop;
	input->handler = handler;
	input->rate.burst = input->handshake_rate.burst = 1;
	LIST_INIT(&input->clients);
	if (open_socket(input, address, tls, err) < 0)
		return NULL;
	input->slots = connection_slots_new(SLOTS, LINE_PEER_CLIENTS_MAX);
	input->acceptable = event_new(loop, input->fd, EV_READ | EV_PERSIST, on_acceptable, input);
	if (!input->slots || !input->acceptable || event_add(input->acceptable, NULL) < 0) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	log_notice("input-ready", log_str("input", input->origin));
	return take(input);
}

void line_input_free(struct line_input *input)
{
	struct client *client;

	if (!input)
		return;
	while ((client = LIST_FIRST(&input->clients)))
		drop(client);
	tls_server_free(input->tls);
	connection_slots_free(input->slots);
	if (input->acceptable)
		event_free(input->acceptable);
	if (input->fd >= 0) {
		close(input->fd);
		input_address_remove(&input->address);
	}
	free(input->origin);
	free(input);
}
