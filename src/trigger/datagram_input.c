/* SPDX-License-Identifier: BSD-2-Clause */
/* A burst takes turns with the rest of the loop: some datagrams at a time, the others wait in the kernel's queue. */
#include "trigger/datagram_input.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "trigger/input_address.h"

#define BURST 64

struct datagram_input {
	struct trigger_handler handler;
	struct input_address address;
	struct event *readable;
	char *origin;
	char *bytes; /* DATAGRAM_BYTES_MAX */
	int fd;
};

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	const struct datagram_input *input = ctx;

	(void)what;
	for (int i = 0; i < BURST; i++) {
		const ssize_t size = recv(fd, input->bytes, DATAGRAM_BYTES_MAX, MSG_TRUNC);
		const bool is_cut = size > DATAGRAM_BYTES_MAX;

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return;
		const struct trigger_message message = {.origin = input->origin,
							.bytes = input->bytes,
							.size = is_cut ? 0 : (size_t)size,
							.refusal = is_cut ? "a datagram is too long" : NULL};
		input->handler.message(input->handler.ctx, &message);
	}
}

struct datagram_input *datagram_input_new(struct event_base *loop, const char *address, struct trigger_handler handler,
					  struct error *err)
{
	cleanup(cleanup_datagram_input) struct datagram_input *input = calloc(1, sizeof(*input));

	if (!input) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	input->fd = -1;
	input->handler = handler;
	if (input_address_parse(address, &input->address, err) < 0)
		return NULL;
	input->fd = input_address_bind(&input->address, SOCK_DGRAM, address, err);
	if (input->fd < 0)
		return NULL;
	if (asprintf(&input->origin, "%s:%s", input->address.is_path ? "unix" : "udp", address) < 0)
		input->origin = NULL;
	input->bytes = malloc(DATAGRAM_BYTES_MAX);
	input->readable = event_new(loop, input->fd, EV_READ | EV_PERSIST, on_readable, input);
	if (!input->origin || !input->bytes || !input->readable || event_add(input->readable, NULL) < 0) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	log_notice("input-ready", log_str("input", input->origin));
	return take(input);
}

void datagram_input_free(struct datagram_input *input)
{
	if (!input)
		return;
	if (input->readable)
		event_free(input->readable);
	if (input->fd >= 0) {
		close(input->fd);
		input_address_remove(&input->address);
	}
	free(input->bytes);
	free(input->origin);
	free(input);
}
