/* SPDX-License-Identifier: BSD-2-Clause */
/* What the host and its cgroups have left is read from the kernel's files, here made by the test. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/host_memory.h"
#include "base/quantity.h"

#define GIB (1024 * (uint64_t)MIB)

static char root[] = "/tmp/pcapdaemon-memory-XXXXXX";

static void put(const char *path, const char *text)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	for (char *at = whole + sizeof(root); (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(whole, 0755);
		*at = '/';
	}
	FILE *file = fopen(whole, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int make_host(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/pcapdaemon-memory-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	put("/proc/meminfo", "MemTotal:        8388608 kB\nMemFree:          100000 kB\nMemAvailable:    2097152 kB\n");
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static int remove_host(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct host_memory read_memory(void)
{
	cleanup(cleanup_host_memory_files) struct host_memory_files *files = host_memory_files_new(root);
	struct host_memory memory;

	assert_non_null(files);
	assert_int_equal(host_memory_read(files, &memory), 0);
	return memory;
}

static void test_host_without_cgroups_has_no_limit(void **state)
{
	const struct host_memory memory = read_memory();

	(void)state;
	assert_int_equal(memory.total_bytes, 8 * GIB);
	assert_int_equal(memory.available_bytes, 2 * GIB);
	assert_true(memory.cgroup_limit_bytes == HOST_MEMORY_UNLIMITED);
	assert_true(memory.cgroup_left_bytes == HOST_MEMORY_UNLIMITED);
}

static void put_v2(const char *mount_root, const char *path)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "30 22 0:26 %s /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
		 mount_root);
	put("/proc/self/mountinfo", text);
	snprintf(text, sizeof(text), "0::%s\n", path);
	put("/proc/self/cgroup", text);
}

static void test_every_level_of_the_hierarchy_counts(void **state)
{
	(void)state;
	put_v2("/", "/system.slice/pcapdaemon.service");
	put("/sys/fs/cgroup/system.slice/pcapdaemon.service/memory.max", "1073741824\n");
	put("/sys/fs/cgroup/system.slice/pcapdaemon.service/memory.current", "104857600\n");
	put("/sys/fs/cgroup/system.slice/memory.max", "2147483648\n");
	put("/sys/fs/cgroup/system.slice/memory.current", "2046820352\n");
	assert_int_equal(read_memory().cgroup_limit_bytes, GIB);
	assert_int_equal(read_memory().cgroup_left_bytes, 96 * (uint64_t)MIB);
	put("/sys/fs/cgroup/system.slice/memory.stat", "anon 1\ninactive_file 524288000\nactive_file 7\n");
	assert_int_equal(read_memory().cgroup_left_bytes, 596 * (uint64_t)MIB);
	put("/sys/fs/cgroup/system.slice/memory.max", "max\n");
	assert_int_equal(read_memory().cgroup_left_bytes, GIB - 100 * (uint64_t)MIB);
	put("/sys/fs/cgroup/system.slice/pcapdaemon.service/memory.current", "2000000000\n");
	assert_int_equal(read_memory().cgroup_left_bytes, 0);
	put("/sys/fs/cgroup/system.slice/pcapdaemon.service/memory.max", "max\n");
	assert_true(read_memory().cgroup_limit_bytes == HOST_MEMORY_UNLIMITED);
}

static void test_container_sees_its_own_limit(void **state)
{
	(void)state;
	put("/sys/fs/cgroup/memory.max", "536870912\n");
	put("/sys/fs/cgroup/memory.current", "0\n");
	put_v2("/", "/"); /* a cgroup namespace */
	assert_int_equal(read_memory().cgroup_left_bytes, 512 * (uint64_t)MIB);
	put_v2("/docker/0123", "/docker/0123"); /* without one */
	assert_int_equal(read_memory().cgroup_left_bytes, 512 * (uint64_t)MIB);
	put_v2("/docker/0123", "/docker/01234"); /* a mount of others */
	assert_int_equal(read_memory().cgroup_left_bytes, 512 * (uint64_t)MIB);
	put("/sys/fs/cgroup/inner/memory.max", "1048576\n");
	put("/sys/fs/cgroup/inner/memory.current", "0\n");
	put_v2("/docker/0123", "/docker/0123/inner");
	assert_int_equal(read_memory().cgroup_left_bytes, MIB);
}

static void test_version_1_and_names_with_blanks(void **state)
{
	(void)state;
	put("/proc/self/mountinfo",
	    "25 22 0:20 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
	    "26 22 0:21 / /sys/fs/my\\040group rw shared:9 master:1 - cgroup cgroup rw,hugetlb,memory\n");
	put("/proc/self/cgroup", "5:cpu:/other\n4:hugetlb,memory:/a/b\n0::/\n");
	put("/sys/fs/my group/a/b/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/my group/a/b/memory.usage_in_bytes", "4096\n");
	put("/sys/fs/my group/a/memory.limit_in_bytes", "104857600\n");
	put("/sys/fs/my group/a/memory.usage_in_bytes", "103809024\n");
	put("/sys/fs/my group/a/memory.stat", "inactive_file 5\ntotal_inactive_file 1048576\n");
	assert_int_equal(read_memory().cgroup_limit_bytes, 100 * (uint64_t)MIB);
	assert_int_equal(read_memory().cgroup_left_bytes, 2 * (uint64_t)MIB);
}

static void test_hidden_proc_still_tells_the_memory(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	assert_int_equal(unlink(path), 0);
	const struct host_memory memory = read_memory();
	assert_true(memory.available_bytes > MIB && memory.available_bytes <= memory.total_bytes);
}

static void test_no_descriptor_left_is_an_error(void **state)
{
	cleanup(cleanup_host_memory_files) struct host_memory_files *files = host_memory_files_new(root);
	struct rlimit limit;
	struct host_memory memory;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	const int r = host_memory_read(files, &memory);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(r, -EMFILE);
}

static void test_reserve_is_a_tenth_and_at_least_256_mib(void **state)
{
	(void)state;
	assert_int_equal(host_memory_reserve(&(struct host_memory){.total_bytes = GIB}, 0), 256 * (uint64_t)MIB);
	assert_int_equal(host_memory_reserve(&(struct host_memory){.total_bytes = 64 * GIB}, 0), 64 * GIB / 10);
	assert_int_equal(host_memory_reserve(&(struct host_memory){.total_bytes = 64 * GIB}, MIB), MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_host_without_cgroups_has_no_limit, make_host, remove_host),
		cmocka_unit_test_setup_teardown(test_every_level_of_the_hierarchy_counts, make_host, remove_host),
		cmocka_unit_test_setup_teardown(test_container_sees_its_own_limit, make_host, remove_host),
		cmocka_unit_test_setup_teardown(test_version_1_and_names_with_blanks, make_host, remove_host),
		cmocka_unit_test_setup_teardown(test_hidden_proc_still_tells_the_memory, make_host, remove_host),
		cmocka_unit_test_setup_teardown(test_no_descriptor_left_is_an_error, make_host, remove_host),
		cmocka_unit_test(test_reserve_is_a_tenth_and_at_least_256_mib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
