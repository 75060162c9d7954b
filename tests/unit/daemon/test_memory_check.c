/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration that may take more memory than the host has causes a warning with the figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/host_memory.h"
#include "base/quantity.h"
#include "config/config.h"
#include "daemon/memory_check.h"

#define BYTES(mib) ((mib) * (uint64_t)MIB)

static struct host_memory host_of(uint64_t mib)
{
	return (struct host_memory){.total_bytes = BYTES(mib),
				    .available_bytes = BYTES(mib),
				    .cgroup_limit_bytes = HOST_MEMORY_UNLIMITED,
				    .cgroup_left_bytes = HOST_MEMORY_UNLIMITED};
}

/* 2 × 1024 + 512 + 256 + 128 + 64 MiB */
static struct config config_of(void)
{
	return (struct config){
		.history = {.interfaces.count = 2, .memory_bytes = BYTES(1024)},
		.limits = {.ring_memory_bytes = BYTES(512),
			   .memory_bytes = BYTES(256),
			   .warm_memory_bytes = BYTES(128)},
		.memory.bytes = BYTES(64),
	};
}

static void test_all_of_it_and_the_reserve_must_fit(void **state)
{
	struct config config = config_of();
	struct host_memory host = host_of(3343);
	struct error warning;

	(void)state;
	assert_false(memory_check(&config, &host, &warning));
	host = host_of(3342);
	assert_true(memory_check(&config, &host, &warning));
	assert_string_equal(warning.text,
			    "the configuration may take 3008 MiB of memory (history.memory 2048 MiB, "
			    "limits.ring_memory 512 MiB, limits.memory 256 MiB, limits.warm_memory 128 MiB, "
			    "memory.bytes 64 MiB); this host has 3342 MiB, of which 334 MiB stay free "
			    "(limits.ring_reserve)");
	config.limits.ring_reserve_bytes = BYTES(333);
	assert_false(memory_check(&config, &host, &warning));
	config.history.interfaces.count = 3;
	assert_true(memory_check(&config, &host, &warning));
}

static void test_rings_on_demand_count_with_their_default(void **state)
{
	struct config config = {.limits.memory_bytes = BYTES(256), .limits.ring_reserve_bytes = BYTES(256)};
	struct host_memory host = host_of(1024);
	struct error warning;

	(void)state;
	assert_false(memory_check(&config, &host, &warning));
	config.limits.memory_bytes = BYTES(513); /* and a quarter of 1024 */
	assert_true(memory_check(&config, &host, &warning));
	assert_non_null(strstr(warning.text, "limits.ring_memory 256 MiB"));
}

static void test_cgroup_limit_counts_if_it_is_lower(void **state)
{
	const struct config config = config_of();
	struct host_memory host = host_of(64 * 1024);
	struct error warning;

	(void)state;
	host.cgroup_limit_bytes = host.cgroup_left_bytes = BYTES(3008);
	assert_false(memory_check(&config, &host, &warning));
	host.cgroup_limit_bytes = host.cgroup_left_bytes = BYTES(3007);
	assert_true(memory_check(&config, &host, &warning));
	assert_non_null(strstr(warning.text, "the cgroup's limit is 3007 MiB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it_and_the_reserve_must_fit),
		cmocka_unit_test(test_rings_on_demand_count_with_their_default),
		cmocka_unit_test(test_cgroup_limit_counts_if_it_is_lower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
