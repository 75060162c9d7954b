/* SPDX-License-Identifier: BSD-2-Clause */
/* A webhook against a server of the test's own: events in order, each until it is taken, refused or out of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "event/event_bus.h"
#include "webhook/webhook.h"

#define REQUESTS_MAX 16

struct world {
	struct event_base *loop;
	struct evhttp *server;
	struct event_bus *bus;
	struct secret *url, *none, *key;
	struct webhook *webhook;
	int statuses[REQUESTS_MAX]; /* to answer with; 0: 200 */
	unsigned requests, wanted;
	char bodies[REQUESTS_MAX][64], numbers[REQUESTS_MAX][64], signature[128], authorization[64];
};

static void copy(char *into, size_t room, const char *text)
{
	snprintf(into, room, "%s", text ? text : "");
}

static void on_request(struct evhttp_request *request, void *ctx)
{
	struct world *world = ctx;
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	const unsigned number = world->requests++;
	const int status = world->statuses[number] ? world->statuses[number] : 200;

	assert_true(number < REQUESTS_MAX);
	assert_int_equal(evhttp_request_get_command(request), EVHTTP_REQ_POST);
	snprintf(world->bodies[number], sizeof(world->bodies[number]), "%.*s", (int)evbuffer_get_length(input),
		 (const char *)evbuffer_pullup(input, -1));
	copy(world->numbers[number], sizeof(world->numbers[number]),
	     evhttp_find_header(headers, "X-Pcapdaemon-Delivery"));
	copy(world->signature, sizeof(world->signature), evhttp_find_header(headers, "X-Pcapdaemon-Signature"));
	copy(world->authorization, sizeof(world->authorization), evhttp_find_header(headers, "X-Key"));
	evhttp_send_reply(request, status, "x", NULL);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct evhttp_bound_socket *bound;
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	char url[64];

	world->loop = event_base_new();
	world->server = evhttp_new(world->loop);
	bound = evhttp_bind_socket_with_handle(world->server, "127.0.0.1", 0);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size);
	evhttp_set_gencb(world->server, on_request, world);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook",
		 (unsigned)ntohs(((struct sockaddr_in *)&address)->sin_port));
	world->bus = event_bus_new();
	world->url = secret_new(url, NULL, NULL, NULL);
	world->none = secret_new("", NULL, NULL, NULL);
	world->key = secret_new("key", NULL, NULL, NULL);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	webhook_free(world->webhook);
	event_bus_free(world->bus);
	secret_free(world->url);
	secret_free(world->none);
	secret_free(world->key);
	evhttp_free(world->server);
	event_base_free(world->loop);
	free(world);
	return 0;
}

static char key_header[] = "X-Key: abc";
static char *const headers[] = {key_header};

static void start(struct world *world, uint64_t retry_ns)
{
	world->webhook = webhook_new(world->loop, world->bus,
				     &(struct webhook_options){
					     .name = "chat",
					     .url = world->url,
					     .token = world->none,
					     .key = world->key,
					     .kinds = 1u << EVENT_DONE,
					     .headers = headers,
					     .header_count = 1,
					     .ca_file = "",
					     .retry_ns = retry_ns,
					     .first_backoff_ns = NS_PER_MS,
				     });
	assert_non_null(world->webhook);
}

static void publish(struct world *world, enum event_kind kind, const char *id)
{
	const struct event event = {.kind = kind, .id = id, .node = "n"};

	event_bus_publish(world->bus, &event);
}

/* Runs the loop until nothing waits. */
static void settle(struct world *world)
{
	const uint64_t end_ns = clock_boottime_ns() + 30 * NS_PER_S;

	while (webhook_counts(world->webhook).waiting > 0 && clock_boottime_ns() < end_ns)
		event_base_loop(world->loop, EVLOOP_ONCE);
	assert_int_equal(webhook_counts(world->webhook).waiting, 0);
}

static void test_wanted_events_arrive_in_order_and_signed(void **state)
{
	struct world *world = *state;

	start(world, 0);
	publish(world, EVENT_DONE, "a");
	publish(world, EVENT_CAPTURED, "unwanted");
	publish(world, EVENT_DONE, "b");
	settle(world);
	assert_int_equal(world->requests, 2);
	assert_non_null(strstr(world->bodies[0], "\"id\":\"a\""));
	assert_non_null(strstr(world->bodies[1], "\"id\":\"b\""));
	assert_non_null(strstr(world->signature, "t="));
	assert_non_null(strstr(world->signature, ",v1="));
	assert_string_equal(world->authorization, "abc");
	assert_int_equal(webhook_counts(world->webhook).sent, 2);
}

static void test_busy_server_is_asked_again_with_the_same_number(void **state)
{
	struct world *world = *state;

	start(world, 60 * NS_PER_S);
	world->statuses[0] = 503;
	world->statuses[1] = 500;
	publish(world, EVENT_DONE, "a");
	publish(world, EVENT_DONE, "b");
	settle(world);
	assert_int_equal(world->requests, 4);
	assert_string_equal(world->numbers[0], world->numbers[2]);
	assert_string_not_equal(world->numbers[2], world->numbers[3]);
	assert_int_equal(webhook_counts(world->webhook).sent, 2);
	assert_int_equal(webhook_counts(world->webhook).retries, 2);
}

static void test_refusal_and_end_of_time_are_failures_of_one_event(void **state)
{
	struct world *world = *state;

	start(world, 0);
	world->statuses[0] = 404;
	world->statuses[1] = 503;
	publish(world, EVENT_DONE, "a");
	publish(world, EVENT_DONE, "b");
	publish(world, EVENT_DONE, "c");
	settle(world);
	assert_int_equal(world->requests, 3);
	assert_int_equal(webhook_counts(world->webhook).sent, 1);
	assert_int_equal(webhook_counts(world->webhook).failed, 2);
}

static void test_number_of_waiting_events_is_capped(void **state)
{
	struct world *world = *state;

	start(world, 60 * NS_PER_S);
	for (unsigned i = 0; i < WEBHOOK_EVENTS_MAX + 5; i++)
		publish(world, EVENT_DONE, "a");
	assert_int_equal(webhook_counts(world->webhook).waiting, WEBHOOK_EVENTS_MAX);
	assert_int_equal(webhook_counts(world->webhook).dropped, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wanted_events_arrive_in_order_and_signed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy_server_is_asked_again_with_the_same_number, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusal_and_end_of_time_are_failures_of_one_event, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_number_of_waiting_events_is_capped, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
