/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients are sockets of this thread, on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "trigger/line_input.h"

struct fixture {
	struct event_base *loop;
	struct line_input *input;
	struct sockaddr_in address;
	unsigned messages;
	char last[64];
	char refusal[64];
	char warning[64]; /* the error of the last one */
};

static void on_log(void *ctx, int severity, const char *id, const struct log_field *fields)
{
	struct fixture *fixture = ctx;

	(void)severity;
	if (strcmp(id, "input-client-dropped") != 0)
		return;
	for (; fields->type != LOG_TYPE_END; fields++)
		if (strcmp(fields->key, "error") == 0)
			snprintf(fixture->warning, sizeof(fixture->warning), "%s", fields->string);
}

static void on_message(void *ctx, const struct trigger_message *message)
{
	struct fixture *fixture = ctx;

	if (message->refusal) {
		snprintf(fixture->refusal, sizeof(fixture->refusal), "%s", message->refusal);
		return;
	}
	fixture->messages++;
	snprintf(fixture->last, sizeof(fixture->last), "%.*s", (int)message->size, (const char *)message->bytes);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof(fixture->address);
	char name[32];
	struct error err;

	assert_non_null(fixture);
	fixture->loop = event_base_new();
	fixture->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (const struct sockaddr *)&fixture->address, size), 0); /* a free port */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&fixture->address, &size), 0);
	close(fd);
	log_divert(on_log, fixture);
	snprintf(name, sizeof(name), "127.0.0.1:%u", ntohs(fixture->address.sin_port));
	fixture->input = line_input_new(fixture->loop, name, NULL,
					(struct trigger_handler){.message = on_message, .ctx = fixture}, &err);
	assert_non_null(fixture->input);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	line_input_free(fixture->input);
	event_base_free(fixture->loop);
	log_divert(NULL, NULL);
	free(fixture);
	return 0;
}

static int connect_client(const struct fixture *fixture)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&fixture->address, sizeof(fixture->address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void test_the_end_of_a_client_ends_a_line_and_cuts_off_a_counted_message(void **state)
{
	struct fixture *fixture = *state;
	int client = connect_client(fixture);

	say(client, "whole\nlast");
	shutdown(client, SHUT_WR); /* half-closed */
	while (fixture->messages < 2)
		event_base_loop(fixture->loop, EVLOOP_ONCE);
	assert_string_equal(fixture->last, "last");
	close(client);

	client = connect_client(fixture);
	say(client, "5 whole20 a part");
	shutdown(client, SHUT_WR);
	while (!*fixture->warning)
		event_base_loop(fixture->loop, EVLOOP_ONCE);
	assert_string_equal(fixture->warning, "its last message is cut off");
	assert_string_equal(fixture->refusal, "its last message is cut off");
	assert_int_equal(fixture->messages, 3);
	assert_string_equal(fixture->last, "whole");
	close(client);
}

static void test_one_address_has_its_share_of_clients_and_no_more(void **state)
{
	struct fixture *fixture = *state;
	int clients[LINE_PEER_CLIENTS_MAX + 1];

	for (int i = 0; i <= LINE_PEER_CLIENTS_MAX; i++) {
		clients[i] = connect_client(fixture);
		say(clients[i], "6 a pa"); /* half a message holds nothing up */
	}
	while (!*fixture->warning)
		event_base_loop(fixture->loop, EVLOOP_ONCE);
	assert_string_equal(fixture->warning, "too many clients of one address");
	close(clients[0]);
	say(clients[1], "rt");
	while (!fixture->messages)
		event_base_loop(fixture->loop, EVLOOP_ONCE);
	assert_string_equal(fixture->last, "a part");
	event_base_loop(fixture->loop, EVLOOP_NONBLOCK); /* the first client's end, if it was not its turn before */
	clients[0] = connect_client(fixture);
	say(clients[0], "again\n");
	while (fixture->messages < 2)
		event_base_loop(fixture->loop, EVLOOP_ONCE);
	assert_string_equal(fixture->last, "again");
	for (int i = 0; i <= LINE_PEER_CLIENTS_MAX; i++)
		close(clients[i]);
}

int main(void)
{
#define IN_FIXTURE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		IN_FIXTURE(test_the_end_of_a_client_ends_a_line_and_cuts_off_a_counted_message),
		IN_FIXTURE(test_one_address_has_its_share_of_clients_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
