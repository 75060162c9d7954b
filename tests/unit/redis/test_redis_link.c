/* SPDX-License-Identifier: BSD-2-Clause */
/* A link against a server in this program, whose answers the test can hold back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "redis/connection/redis_backoff.h"
#include "redis/connection/redis_link.h"
#include "redis/connection/redis_links.h"
#include "redis/connection/redis_options.h"

#define PING_INTERVAL_NS (500 * NS_PER_MS)
#define PASSES 4
#define CLIENTS_MAX 4
#define PONG_OF_SUBSCRIBER "*2\r\n$4\r\npong\r\n$0\r\n\r\n"

struct client {
	struct bufferevent *connection;
	bool subscribed, awaits_pong;
};

struct fixture {
	struct event_base *loop;
	struct evconnlistener *listener;
	struct client clients[CLIENTS_MAX];
	size_t client_count;
	struct redis_links *links;
	struct redis_options options;
};

struct end {
	unsigned ups, downs;
};

/* --- the server --- */

/* Answers a command; a subscriber's PING waits for the test. */
static void answer(struct client *client, const char *command)
{
	struct evbuffer *out = bufferevent_get_output(client->connection);

	if (strncmp(command, "PING", 4) == 0 && client->subscribed)
		client->awaits_pong = true;
	else if (strncmp(command, "PING", 4) == 0)
		evbuffer_add_printf(out, "+PONG\r\n");
	else if (strncmp(command, "ROLE", 4) == 0)
		evbuffer_add_printf(out, "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
	else if (strncmp(command, "SUBSCRIBE", 9) == 0) {
		client->subscribed = true;
		evbuffer_add_printf(out, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
	} else if (strncmp(command, "CLIENT", 6) == 0)
		evbuffer_add_printf(out, "+OK\r\n");
}

static void on_commands(struct bufferevent *connection, void *ctx)
{
	struct client *client = ctx;
	struct evbuffer *in = bufferevent_get_input(connection);
	char *line;

	while ((line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF))) { /* lengths and arguments are no command */
		answer(client, line);
		free(line);
	}
}

static void on_client(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int size,
		      void *ctx)
{
	struct fixture *fixture = ctx;
	struct client *client = &fixture->clients[fixture->client_count++];

	(void)listener;
	(void)address;
	(void)size;
	assert_true(fixture->client_count <= CLIENTS_MAX);
	client->connection = bufferevent_socket_new(fixture->loop, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(client->connection, on_commands, NULL, NULL, client);
	bufferevent_enable(client->connection, EV_READ | EV_WRITE);
}

/* --- the links --- */

static void on_reply(struct redisAsyncContext *redis, void *reply, void *ctx)
{
	(void)redis;
	(void)reply;
	(void)ctx;
}

static void on_up(void *ctx, struct redisAsyncContext *redis)
{
	struct end *end = ctx;

	(void)redis;
	end->ups++;
}

static void on_down(void *ctx)
{
	struct end *end = ctx;

	end->downs++;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	fixture = (struct fixture){.loop = event_base_new(), .links = redis_links_new()};
	fixture.listener = evconnlistener_new_bind(fixture.loop, on_client, &fixture, LEV_OPT_CLOSE_ON_FREE, -1,
						   (struct sockaddr *)&address, sizeof(address));
	assert_non_null(fixture.listener);
	assert_int_equal(getsockname(evconnlistener_get_fd(fixture.listener), (struct sockaddr *)&address, &size), 0);
	fixture.options = (struct redis_options){.host = "127.0.0.1",
						 .port = ntohs(address.sin_port),
						 .links = fixture.links,
						 .ping_interval_ns = PING_INTERVAL_NS};
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < fixture->client_count; i++)
		bufferevent_free(fixture->clients[i].connection);
	evconnlistener_free(fixture->listener);
	redis_links_free(fixture->links);
	event_base_free(fixture->loop);
	return 0;
}

static struct redis_link *start_link(struct fixture *fixture, const char *role, struct end *end)
{
	const struct redis_link_handler handler = {.up = on_up, .down = on_down, .ctx = end};
	struct redis_link *link = redis_link_new(fixture->loop, role, &fixture->options, handler);

	assert_non_null(link);
	while (!end->ups)
		event_base_loop(fixture->loop, EVLOOP_ONCE);
	return link;
}

/* The answer to PING must not put off what another link's finding demands: that would take a whole interval. */
static void test_a_subscriber_leaves_a_replaced_server_at_once_even_if_it_answers(void **state)
{
	struct fixture *fixture = *state;
	struct end subscriber_end = {0}, other_end = {0};
	cleanup(cleanup_redis_link) struct redis_link *subscriber = start_link(fixture, "subscriber", &subscriber_end);
	cleanup(cleanup_redis_link) struct redis_link *other = start_link(fixture, "other", &other_end);
	struct client *client = &fixture->clients[0];

	assert_int_equal(redis_link_subscribe(subscriber, "c", on_reply, NULL), 0);
	while (!client->awaits_pong)
		event_base_loop(fixture->loop, EVLOOP_ONCE);
	assert_int_equal(send(bufferevent_getfd(client->connection), PONG_OF_SUBSCRIBER, strlen(PONG_OF_SUBSCRIBER), 0),
			 strlen(PONG_OF_SUBSCRIBER));
	redis_link_replaced(other, "READONLY");
	assert_int_equal(other_end.downs, 1);
	for (unsigned i = 0; i < PASSES; i++)
		event_base_loop(fixture->loop, EVLOOP_NONBLOCK);
	assert_int_equal(subscriber_end.downs, 1);
	assert_int_equal(redis_link_replacements(subscriber), 1);
}

static void test_backoff_doubles_to_its_bound_and_begins_anew_once_stable(void **state)
{
	struct redis_backoff backoff = {0};
	uint64_t most_ns = 0;

	(void)state;
	for (unsigned attempt = 0; attempt < 40; attempt++) {
		const uint64_t wait_ns = redis_backoff_next_ns(&backoff, false, 30 * NS_PER_S);

		assert_true(wait_ns < (attempt < 9 ? 100 * NS_PER_MS << attempt : 30 * NS_PER_S));
		most_ns = wait_ns > most_ns ? wait_ns : most_ns;
	}
	assert_true(most_ns > 5 * NS_PER_S);
	for (unsigned i = 0; i < 3; i++) {
		assert_false(redis_backoff_flaps(&backoff));
		redis_backoff_up(&backoff);
		(void)redis_backoff_next_ns(&backoff, true, 30 * NS_PER_S);
	}
	assert_true(redis_backoff_flaps(&backoff));
	backoff.up_since_ns = clock_boottime_ns() - 6 * NS_PER_S;
	assert_true(redis_backoff_is_stable(&backoff));
	assert_false(redis_backoff_flaps(&backoff));
	assert_true(redis_backoff_next_ns(&backoff, true, 30 * NS_PER_S) < 100 * NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_subscriber_leaves_a_replaced_server_at_once_even_if_it_answers,
						set_up, tear_down),
		cmocka_unit_test(test_backoff_doubles_to_its_bound_and_begins_anew_once_stable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
