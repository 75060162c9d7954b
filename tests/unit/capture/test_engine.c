/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine with real rings on tun devices, in a network namespace of its own (needs root). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/link_table.h"
#include "base/slab_pool.h"
#include "capture/consumer.h"
#include "capture/engine.h"
#include "capture/store.h"

#define RINGS 3
#define DEVICES (RINGS + 2)

struct world {
	bool privileged;
	int tuns[DEVICES];
	struct event_base *loop;
	struct slab_pool *slabs;
	struct engine *engine;
};

static struct world world;

static int add_tun(unsigned number)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC),
		  control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "tun%u", number);
	const bool made = fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0;
	request.ifr_flags = IFF_UP;
	const bool up = made && ioctl(control, SIOCSIFFLAGS, &request) == 0;
	close(control);
	return up ? fd : -1;
}

static int set_up(void **state)
{
	struct error error;

	(void)state;
	world.privileged = unshare(CLONE_NEWNET) == 0;
	for (unsigned i = 0; world.privileged && i < DEVICES; i++) {
		world.tuns[i] = add_tun(i);
		world.privileged = world.tuns[i] >= 0;
	}
	if (link_table_start() < 0)
		return -1;
	evthread_use_pthreads();
	world.loop = event_base_new();
	world.slabs = slab_pool_new(&(struct slab_pool_options){0});
	world.engine = engine_new(
		world.loop,
		&(struct engine_options){.workers = 2, .memory_bytes = 64 << 20, .rings = RINGS, .slabs = world.slabs},
		&error);
	return world.engine ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	engine_free(world.engine);
	link_table_stop();
	slab_pool_free(world.slabs);
	event_base_free(world.loop);
	return 0;
}

static void on_done(void *ctx, struct consumer *consumer)
{
	unsigned *left = ctx;

	consumer_free(consumer);
	if (--*left == 0)
		event_base_loopbreak(world.loop);
}

static int start(unsigned number, unsigned *left, struct consumer **consumer)
{
	char name[16];
	const char *field;
	struct error error;
	const struct consumer_spec spec = {
		.interface = name,
		.snaplen = 100,
		.max_packets = UINT64_MAX,
		.max_bytes = UINT64_MAX,
		.duration_ns = 3600 * NS_PER_S,
		.ring_bytes = 256 << 10,
	};

	snprintf(name, sizeof(name), "tun%u", number);
	const int r = consumer_start(world.engine, &spec, on_done, left, &error, &field, consumer);
	*left += r == 0;
	return r;
}

static void end(struct consumer *const *consumers, unsigned count, unsigned *left)
{
	for (unsigned i = 0; i < count; i++)
		consumer_stop(consumers[i], END_STOPPED);
	while (*left)
		event_base_dispatch(world.loop);
}

static void test_idle_rings_give_way_when_there_are_as_many_as_may_be(void **state)
{
	struct consumer *consumers[RINGS];
	unsigned left = 0;

	(void)state;
	if (!world.privileged)
		skip();
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < RINGS; i++)
			assert_int_equal(start((round + i) % DEVICES, &left, &consumers[i]), 0);
		struct consumer *refused = NULL;
		assert_int_equal(start((round + RINGS) % DEVICES, &left, &refused), -ENOSPC);
		struct consumer *another = NULL;
		assert_int_equal(start(round % DEVICES, &left, &another), 0); /* on a ring that is open */
		consumer_stop(another, END_STOPPED);
		end(consumers, RINGS, &left);
	}
	assert_true(engine_interfaces(world.engine, NULL, 0) <= RINGS);
}

/* --- a series of consumers --- */

#define SERIES_MAX 200
#define SERIES_PACKETS 2000
#define SERIES_PER_TICK 20

struct series {
	struct consumer_spec spec;
	struct consumer *latest; /* the one that is prepared */
	bool ahead;		 /* each is prepared when the one before begins; else when that has ended */
	unsigned consumers, rotated, left;
	uint32_t next_number;	  /* that is expected */
	uint32_t sent;		  /* packets */
	uint64_t received, to_ns; /* by the reports; the end of the window before */
	enum end_reason reason;
	struct event *tick;
};

/* One numbered packet: IPv4 and UDP to port 9. */
static void send_numbered(uint32_t number)
{
	uint8_t packet[32] = {0x45, 0, 0, sizeof(packet), 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0,
			      9,    0, 12};

	memcpy(packet + 28, &number, sizeof(number));
	assert_int_equal(write(world.tuns[0], packet, sizeof(packet)), sizeof(packet));
}

static void on_series_done(void *ctx, struct consumer *consumer);

static void prepare(struct series *series, struct consumer *before)
{
	series->latest = consumer_continue(before, ++series->consumers == SERIES_MAX, NULL, on_series_done, series);
	assert_non_null(series->latest);
	series->left++;
}

static void check_packets(struct series *series, const struct consumer *consumer)
{
	struct store_reader reader;
	struct packet_view packet;

	store_reader_init(&reader, consumer_store(consumer));
	while (store_reader_next(&reader, &packet)) {
		uint32_t number;

		memcpy(&number, packet.data + 28, sizeof(number));
		assert_int_equal(number, series->next_number++);
	}
}

static void on_series_done(void *ctx, struct consumer *consumer)
{
	struct series *series = ctx;
	struct consumer_report report;

	consumer_report(consumer, &report);
	check_packets(series, consumer);
	assert_int_equal(report.lost_kernel + report.lost_evicted + report.lost_memory, 0);
	assert_true(report.from_ns >= series->to_ns); /* windows do not overlap */
	series->to_ns = report.to_ns;
	series->received += report.received;
	series->reason = report.reason;
	series->left--;
	if (report.rotated) {
		series->rotated++;
		if (!series->ahead)
			prepare(series, consumer);
		else if (series->consumers < SERIES_MAX)
			prepare(series, series->latest);
	} else if (series->ahead && series->latest != consumer) {
		consumer_free(series->latest); /* never begins */
		series->left--;
	}
	consumer_free(consumer);
	if (!series->left)
		event_base_loopbreak(world.loop);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct series *series = ctx;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < SERIES_PER_TICK && series->sent < SERIES_PACKETS; i++)
		send_numbered(series->sent++);
	/* The first one is prepared for by now, so this one may be the end of them all. */
	if (series->sent == SERIES_PACKETS && series->spec.part_ns)
		event_del(series->tick);
}

static void run_series(struct series *series)
{
	const struct timeval interval = {.tv_usec = 1000};
	struct consumer *first;
	struct error error;
	const char *field;

	series->spec.interface = "tun0";
	series->spec.bpf = "udp port 9";
	series->spec.snaplen = 100;
	series->spec.ring_bytes = 16 << 20;
	series->spec.continued = true;
	series->consumers = series->left = 1;
	series->tick = event_new(world.loop, -1, EV_PERSIST, on_tick, series);
	assert_int_equal(consumer_start(world.engine, &series->spec, on_series_done, series, &error, &field, &first),
			 0);
	if (series->ahead)
		prepare(series, first);
	event_add(series->tick, &interval);
	while (series->left)
		event_base_dispatch(world.loop);
	event_free(series->tick);
	assert_int_equal(series->next_number, SERIES_PACKETS);
	assert_int_equal(series->sent, SERIES_PACKETS);
	assert_int_equal(series->received, SERIES_PACKETS);
}

static void test_a_series_by_packets_has_each_packet_once(void **state)
{
	(void)state;
	if (!world.privileged)
		skip();
	for (unsigned ahead = 0; ahead < 2; ahead++) {
		struct series series = {.spec = {.max_packets = 37,
						 .max_bytes = UINT64_MAX,
						 .duration_ns = 3600 * NS_PER_S,
						 .idle_ns = NS_PER_S / 2},
					.ahead = ahead};

		run_series(&series);
		assert_int_equal(series.rotated, SERIES_PACKETS / 37);
		assert_int_equal(series.reason, END_IDLE);
	}
}

static void test_a_series_by_time_has_each_packet_once(void **state)
{
	(void)state;
	if (!world.privileged)
		skip();
	for (unsigned ahead = 0; ahead < 2; ahead++) {
		struct series series = {.spec = {.max_packets = UINT64_MAX,
						 .max_bytes = UINT64_MAX,
						 .part_ns = 7 * NS_PER_MS,
						 .duration_ns = NS_PER_S},
					.ahead = ahead};

		run_series(&series);
		assert_true(series.rotated >= 140 && series.rotated <= 143); /* 1 s by 7 ms */
		assert_int_equal(series.reason, END_TIMEOUT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_rings_give_way_when_there_are_as_many_as_may_be),
		cmocka_unit_test(test_a_series_by_packets_has_each_packet_once),
		cmocka_unit_test(test_a_series_by_time_has_each_packet_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
