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

#include "base/link_table.h"
#include "base/slab_pool.h"
#include "capture/consumer.h"
#include "capture/engine.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_rings_give_way_when_there_are_as_many_as_may_be),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
