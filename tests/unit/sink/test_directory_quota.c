/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits of a directory: this node's files are counted and removed, others never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "sink/directory_quota.h"

#define STAMPED "-20261123T084100.123Z-id"

static char path[64];
static int directory_fd = -1;
static struct directory_quota *quota;

static int make(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/pcapdaemon-quota-XXXXXX");
	if (!mkdtemp(path))
		return -1;
	directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return directory_fd < 0;
}

static int destroy(void **state)
{
	const struct dirent *entry;
	DIR *directory = opendir(path);

	(void)state;
	directory_quota_free(quota);
	quota = NULL;
	while (directory && (entry = readdir(directory)))
		(void)unlinkat(directory_fd, entry->d_name, 0);
	if (directory)
		closedir(directory);
	close(directory_fd);
	return rmdir(path);
}

static void use(uint64_t max_bytes, uint64_t max_age_ns, unsigned min_free)
{
	quota = directory_quota_new(&(struct directory_quota_options){
		.name_prefix = "edge-", .max_bytes = max_bytes, .max_age_ns = max_age_ns, .min_free = min_free});
	assert_non_null(quota);
}

/* Returns the file's open descriptor. */
static int make_file(const char *name, off_t size, time_t age_s)
{
	const int fd = openat(directory_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const struct timespec then = {.tv_sec = (time_t)(clock_realtime_ns() / NS_PER_S) - age_s};

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(futimens(fd, (struct timespec[]){then, then}), 0);
	return fd;
}

static void add_file(const char *name, off_t size, time_t age_s)
{
	close(make_file(name, size, age_s));
}

static bool exists(const char *name)
{
	return faccessat(directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *const foreign[] = {
	"edge-eth0-notes.pcapng",	"edge" STAMPED ".pcapng",
	"other-eth0" STAMPED ".pcapng", "edge-eth0" STAMPED ".txt",
	"edge-eth0-20261123.pcapng",	"edge-eth0-20261123T084100.123Z.pcapng",
	"edge7-eth0" STAMPED ".pcap",	"README",
	"edge-eth0" STAMPED ".txt.gz",	"edge-eth0" STAMPED ".zst",
};

static void add_foreign(void)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		add_file(foreign[i], 1000, 100);
	assert_int_equal(symlinkat("README", directory_fd, "edge-eth0" STAMPED "-link.pcapng"), 0);
}

static void expect_foreign(void)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		if (!exists(foreign[i]))
			fail_msg("%s is gone", foreign[i]);
	assert_true(exists("edge-eth0" STAMPED "-link.pcapng"));
}

static void test_only_own_files_count(void **state)
{
	struct error why;

	(void)state;
	add_foreign();
	add_file("edge-eth0" STAMPED ".pcapng", 600, 0);
	add_file("edge-a-b-0" STAMPED "-1.pcap", 100, 0);
	add_file("edge-eth0" STAMPED ".pcapng.zst", 150, 0);
	add_file("edge-eth0" STAMPED "-2.pcap.gz", 50, 0);
	use(1000, 0, 0);
	assert_int_equal(directory_quota_reserve(quota, directory_fd, 101, &why), -EDQUOT);
	assert_non_null(strstr(why.text, "900 already"));
	assert_non_null(strstr(why.text, "local.max_bytes"));
	assert_int_equal(directory_quota_reserve(quota, directory_fd, 100, &why), 0);
	assert_int_equal(directory_quota_reserve(quota, directory_fd, 1, &why), -EDQUOT); /* reserved */
	directory_quota_settle(quota, 100, false);
	assert_int_equal(directory_quota_reserve(quota, directory_fd, 60, &why), 0);
	directory_quota_settle(quota, 60, true);
	assert_int_equal(directory_quota_reserve(quota, directory_fd, 41, &why), -EDQUOT);
}

static void test_part_of_the_filesystem_stays_free(void **state)
{
	struct error why;

	(void)state;
	use(0, 0, 99); /* no filesystem that tests use is this empty */
	assert_int_equal(directory_quota_reserve(quota, directory_fd, UINT64_C(1) << 60, &why), -EDQUOT);
	assert_non_null(strstr(why.text, "local.min_free"));
	directory_quota_free(quota);
	use(0, 0, 0);
	assert_int_equal(directory_quota_reserve(quota, directory_fd, UINT64_C(1) << 60, &why), 0);
	directory_quota_settle(quota, UINT64_C(1) << 60, false);
}

static void test_only_own_old_files_are_removed(void **state)
{
	(void)state;
	add_foreign();
	add_file("edge-eth0" STAMPED ".pcapng", 10, 100);
	add_file("edge-eth0" STAMPED "-1.pcapng", 10, 10);
	use(0, 50 * NS_PER_S, 0);
	directory_quota_expire(quota, directory_fd);
	assert_false(exists("edge-eth0" STAMPED ".pcapng"));
	assert_true(exists("edge-eth0" STAMPED "-1.pcapng"));
	expect_foreign();
	directory_quota_free(quota);
	use(0, 0, 0);
	add_file("edge-eth1" STAMPED ".pcapng", 10, 1000000);
	directory_quota_expire(quota, directory_fd);
	assert_true(exists("edge-eth1" STAMPED ".pcapng"));
}

static void test_orphans_are_removed_and_files_of_the_living_are_not(void **state)
{
	const int living = make_file(".edge-eth0" STAMPED "-1.pcapng.part", 10, 0);

	(void)state;
	assert_int_equal(directory_quota_claim(living), 0);
	add_file(".edge-eth0" STAMPED ".pcapng.part", 10, 0);
	add_file(".other-eth0" STAMPED ".pcapng.part", 10, 0);
	add_file("edge-eth0" STAMPED ".pcapng", 10, 0);
	use(0, 0, 0);
	directory_quota_remove_orphans(quota, directory_fd);
	assert_false(exists(".edge-eth0" STAMPED ".pcapng.part"));
	assert_true(exists(".edge-eth0" STAMPED "-1.pcapng.part"));
	assert_true(exists(".other-eth0" STAMPED ".pcapng.part"));
	assert_true(exists("edge-eth0" STAMPED ".pcapng"));
	close(living);
	directory_quota_remove_orphans(quota, directory_fd);
	assert_false(exists(".edge-eth0" STAMPED "-1.pcapng.part"));
}

/* Between open() and flock() another process may take the file for an orphan. */
static void test_file_that_was_taken_for_an_orphan_is_not_claimed(void **state)
{
	const int fd = make_file(".edge-eth0" STAMPED ".pcapng.part", 10, 0);
	const int other = openat(directory_fd, ".edge-eth0" STAMPED ".pcapng.part", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(directory_quota_claim(fd), -EAGAIN);
	close(other);
	assert_int_equal(unlinkat(directory_fd, ".edge-eth0" STAMPED ".pcapng.part", 0), 0);
	assert_int_equal(directory_quota_claim(fd), -ENOENT);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_own_files_count, make, destroy),
		cmocka_unit_test_setup_teardown(test_part_of_the_filesystem_stays_free, make, destroy),
		cmocka_unit_test_setup_teardown(test_only_own_old_files_are_removed, make, destroy),
		cmocka_unit_test_setup_teardown(test_orphans_are_removed_and_files_of_the_living_are_not, make,
						destroy),
		cmocka_unit_test_setup_teardown(test_file_that_was_taken_for_an_orphan_is_not_claimed, make, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
