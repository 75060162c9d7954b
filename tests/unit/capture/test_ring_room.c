/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings are judged by what the host and the cgroup have left, and no two rely on the same memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/quantity.h"
#include "capture/ring_room.h"

#define BYTES(mib) ((size_t)(mib)*MIB)
#define RESERVE 256 /* MiB */

static char root[] = "/tmp/pcapdaemon-room-XXXXXX";
static struct ring_room room;

static const char *path_of(const char *name, char path[static 64])
{
	snprintf(path, 64, "%s%s", root, name);
	return path;
}

static void set_available(unsigned mib)
{
	char path[64];
	FILE *file = fopen(path_of("/proc/meminfo", path), "w");

	assert_non_null(file);
	assert_true(fprintf(file, "MemTotal: %u kB\nMemAvailable: %u kB\n", 2048 * 1024, mib * 1024) > 0);
	assert_int_equal(fclose(file), 0);
}

static int make_room(void **state)
{
	struct error error;
	char path[64];

	(void)state;
	snprintf(root, sizeof(root), "/tmp/pcapdaemon-room-XXXXXX");
	if (!mkdtemp(root) || mkdir(path_of("/proc", path), 0755) < 0)
		return -1;
	set_available(1024);
	return ring_room_init(&room, root, BYTES(RESERVE), &error);
}

static int remove_room(void **state)
{
	char path[64];

	(void)state;
	ring_room_deinit(&room);
	return remove(path_of("/proc/meminfo", path)) || rmdir(path_of("/proc", path)) || rmdir(root);
}

/* What is taken of this many MiB, in MiB; 0: refused. */
static size_t take_mib(size_t least, size_t wanted, unsigned claims)
{
	struct error why;
	size_t taken = 0;
	const struct ring_claim claim = {BYTES(least), BYTES(wanted), claims};
	const int r = ring_room_take(&room, &claim, &taken, &why);

	assert_true(r == 0 ? taken >= claim.least_bytes : r == -ENOMEM && taken == 0);
	assert_int_equal(why.text[0] != '\0', taken < claim.wanted_bytes);
	assert_true(!why.text[0] || strstr(why.text, "limits.ring_reserve"));
	return taken / MIB;
}

static void test_reserve_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(take_mib(4, 768, 1), 768);
	assert_int_equal(take_mib(1, 1, 1), 0);
	ring_room_settle(&room, BYTES(768), 0); /* the kernel refused it */
	assert_int_equal(take_mib(4, 1024, 1), 768);
	ring_room_settle(&room, BYTES(768), BYTES(700));
	set_available(1024 - 700);
	assert_int_equal(take_mib(4, 1024, 1), 68);
	ring_room_settle(&room, BYTES(68), BYTES(68));
	set_available(100);
	assert_int_equal(take_mib(1, 64, 1), 0);
	ring_room_give_back(&room, BYTES(768));
	assert_int_equal(room.open_bytes, 0);
}

static void test_rings_being_allocated_are_not_counted_twice_as_free(void **state)
{
	(void)state;
	assert_int_equal(take_mib(1, 512, 1), 512);
	assert_int_equal(take_mib(1, 512, 1), 256);
	assert_int_equal(take_mib(1, 512, 1), 0);
	ring_room_settle(&room, BYTES(512), BYTES(512));
	set_available(512);
	assert_int_equal(take_mib(1, 1, 1), 0);
	ring_room_settle(&room, BYTES(256), 0);
	assert_int_equal(take_mib(1, 512, 1), 256);
}

static void test_short_memory_is_shared(void **state)
{
	(void)state;
	assert_int_equal(take_mib(4, 256, 3), 256);
	ring_room_settle(&room, BYTES(256), BYTES(0));
	assert_int_equal(take_mib(4, 400, 3), 256);
	ring_room_settle(&room, BYTES(256), BYTES(0));
	assert_int_equal(take_mib(4, 400, 2), 384);
	ring_room_settle(&room, BYTES(384), BYTES(0));
	assert_int_equal(take_mib(400, 500, 2), 0);
}

static void test_cgroup_limit_counts_all_rings(void **state)
{
	const struct host_memory memory = {.total_bytes = BYTES(2048),
					   .available_bytes = BYTES(1024),
					   .cgroup_limit_bytes = BYTES(512),
					   .cgroup_left_bytes = BYTES(500)};

	(void)state;
	assert_int_equal(ring_room_judge(&room, &memory).free_bytes, BYTES(500));
	assert_true(ring_room_judge(&room, &memory).by_cgroup);
	assert_int_equal(take_mib(4, 300, 1), 300);
	assert_int_equal(ring_room_judge(&room, &memory).free_bytes, BYTES(200));
	ring_room_settle(&room, BYTES(300), BYTES(300));
	assert_int_equal(ring_room_judge(&room, &memory).free_bytes, BYTES(200));
	room.open_bytes += BYTES(300);
	assert_int_equal(ring_room_judge(&room, &memory).free_bytes, 0);
}

static void test_the_host_counts_where_the_cgroup_allows_more(void **state)
{
	const struct host_memory memory = {.available_bytes = BYTES(300),
					   .cgroup_limit_bytes = BYTES(900),
					   .cgroup_left_bytes = BYTES(900)};

	(void)state;
	assert_int_equal(ring_room_judge(&room, &memory).free_bytes, BYTES(300 - RESERVE));
	assert_false(ring_room_judge(&room, &memory).by_cgroup);
}

static void test_estimate_lasts_for_a_moment(void **state)
{
	(void)state;
	assert_int_equal(ring_room_free(&room), BYTES(768));
	set_available(512);
	assert_int_equal(ring_room_estimate(&room), BYTES(768));
	assert_int_equal(ring_room_free(&room), BYTES(256));
	assert_int_equal(ring_room_estimate(&room), BYTES(256));
}

static void test_one_step_never_takes_the_reserve(void **state)
{
	(void)state;
	assert_int_equal(ring_room_step(&room), BYTES(RESERVE / 2));
	room.reserve_bytes = MIB;
	assert_int_equal(ring_room_step(&room), BYTES(64));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_room, remove_room)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reserve_is_left_alone),
		TEST(test_rings_being_allocated_are_not_counted_twice_as_free),
		TEST(test_short_memory_is_shared),
		TEST(test_cgroup_limit_counts_all_rings),
		TEST(test_the_host_counts_where_the_cgroup_allows_more),
		TEST(test_estimate_lasts_for_a_moment),
		TEST(test_one_step_never_takes_the_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
