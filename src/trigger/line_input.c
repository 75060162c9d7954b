/* SPDX-License-Identifier: BSD-2-Clause */
/* Each client has a buffer that grows to its longest message. What a client sends beyond that waits in the kernel. */
#include "trigger/line_input.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/log.h"
#include "trigger/input_address.h"

#define CHUNK 65536
#define BACKLOG 64
#define LENGTH_DIGITS_MAX 7 /* of LINE_BYTES_MAX */

struct client {
	LIST_ENTRY(client) list;
	struct line_input *input;
	struct event *readable;
	struct buffer text;
	int fd;
};

struct line_input {
	struct event_base *loop;
	struct trigger_handler handler;
	struct input_address address;
	struct event *acceptable;
	LIST_HEAD(, client) clients;
	size_t client_count;
	struct log_rate rate;
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
	buffer_deinit(&client->text);
	free(client);
	if (input->client_count-- == LINE_CLIENTS_MAX)
		event_add(input->acceptable, NULL);
}

/* Without a carriage return at its end. */
static void pass_on(const struct line_input *input, const char *text, size_t size)
{
	size -= size && text[size - 1] == '\r';
	const struct trigger_message message = {.origin = input->origin, .bytes = text, .size = size};

	if (size)
		input->handler.message(input->handler.ctx, &message);
}

/* RFC 6587's "27 <34>1 …": the bytes before the message, and its size; false: it is no such frame. */
static bool read_length(const char *text, size_t size, size_t *head, size_t *length)
{
	size_t digits = 0;

	*length = 0;
	while (digits < size && digits < LENGTH_DIGITS_MAX && text[digits] >= '0' && text[digits] <= '9')
		*length = *length * 10 + (size_t)(text[digits++] - '0');
	*head = digits + 1;
	return digits && digits < size && text[digits] == ' ' && *length <= LINE_BYTES_MAX;
}

/* The first whole message of the text: its begin and size; returns the bytes that it takes, 0: there is none yet. */
static size_t find_message(const char *text, size_t size, const char **message, size_t *message_size)
{
	size_t head;

	if (read_length(text, size, &head, message_size)) {
		*message = text + head;
		return size - head >= *message_size ? head + *message_size : 0;
	}
	const char *end = memchr(text, '\n', size);
	*message = text;
	*message_size = end ? (size_t)(end - text) : 0;
	return end ? *message_size + 1 : 0;
}

static void take_messages(struct client *client)
{
	const char *text = buffer_text(&client->text), *message;
	size_t at = 0, taken, size;

	while (at < client->text.size && (taken = find_message(text + at, client->text.size - at, &message, &size))) {
		pass_on(client->input, message, size);
		at += taken;
	}
	if (!at)
		return;
	memmove(client->text.data, client->text.data + at, client->text.size - at);
	client->text.size -= at;
	client->text.data[client->text.size] = '\0';
}

static void warn(struct line_input *input, const char *error)
{
	uint64_t suppressed;

	if (log_rate_allow(&input->rate, &suppressed))
		log_warning("input-client-dropped", log_str("input", input->origin), log_str("error", error),
			    log_uint("suppressed", suppressed));
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
		pass_on(client->input, buffer_text(&client->text),
			client->text.size); /* the last line may have no end */
		drop(client);
		return;
	}
	if (buffer_append(&client->text, chunk, (size_t)size) < 0) {
		warn(client->input, "a message is too long");
		drop(client);
		return;
	}
	take_messages(client);
	if (client->text.size > LINE_BYTES_MAX) {
		warn(client->input, "a message is too long");
		drop(client);
	}
}

static void add_client(struct line_input *input, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return;
	}
	client->input = input;
	client->fd = fd;
	client->text = (struct buffer)BUFFER_INIT(LINE_BYTES_MAX + CHUNK);
	LIST_INSERT_HEAD(&input->clients, client, list);
	if (++input->client_count == LINE_CLIENTS_MAX)
		event_del(input->acceptable);
	client->readable = event_new(input->loop, fd, EV_READ | EV_PERSIST, on_readable, client);
	if (!client->readable || event_add(client->readable, NULL) < 0)
		drop(client);
}

static void on_acceptable(evutil_socket_t fd, short what, void *ctx)
{
	struct line_input *input = ctx;
	const int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (client >= 0)
		add_client(input, client);
}

struct line_input *line_input_new(struct event_base *loop, const char *address, struct trigger_handler handler,
				  struct error *err)
{
	cleanup(cleanup_line_input) struct line_input *input = calloc(1, sizeof(*input));

	if (!input) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	input->fd = -1;
	input->loop = loop;
	input->handler = handler;
	input->rate.burst = 1;
	LIST_INIT(&input->clients);
	if (input_address_parse(address, &input->address, err) < 0)
		return NULL;
	input->fd = input_address_bind(&input->address, SOCK_STREAM, address, err);
	if (input->fd < 0)
		return NULL;
	if (listen(input->fd, BACKLOG) < 0) {
		error_set(err, -errno, "%s: %s", address, strerror(errno));
		return NULL;
	}
	if (asprintf(&input->origin, "%s:%s", input->address.is_path ? "unix" : "tcp", address) < 0)
		input->origin = NULL;
	input->acceptable = event_new(loop, input->fd, EV_READ | EV_PERSIST, on_acceptable, input);
	if (!input->origin || !input->acceptable || event_add(input->acceptable, NULL) < 0) {
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
	if (input->acceptable)
		event_free(input->acceptable);
	if (input->fd >= 0) {
		close(input->fd);
		input_address_remove(&input->address);
	}
	free(input->origin);
	free(input);
}
