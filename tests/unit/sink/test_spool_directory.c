/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries of the spool: whole or not there, counted, and never another's file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/byte_stream.h"
#include "sink/spool_directory.h"

static char path[64];
static struct spool_directory *spool;
static atomic_bool stop;

static int make(void **state)
{
	(void)state;
	atomic_store(&stop, false);
	snprintf(path, sizeof(path), "/tmp/pcapdaemon-spool-XXXXXX");
	return mkdtemp(path) ? spool_directory_open(path, &spool, NULL) : -1;
}

static unsigned count_files(bool remove)
{
	const struct dirent *entry;
	DIR *directory = opendir(path);
	unsigned count = 0;

	while (directory && (entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		if (remove)
			(void)unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	return count;
}

static int destroy(void **state)
{
	(void)state;
	if (spool)
		spool_directory_close(take(spool));
	count_files(true);
	return rmdir(path);
}

static void reopen(void)
{
	spool_directory_close(take(spool));
	assert_int_equal(spool_directory_open(path, &spool, NULL), 0);
}

/* A stream of `size` bytes of 'x', which ends after `left` more. */
struct source {
	size_t left;
	bool stops; /* sets `stop` */
};

static size_t read_source(void *ctx, uint8_t *into, size_t room)
{
	struct source *source = ctx;
	const size_t got = room < source->left ? room : source->left;

	memset(into, 'x', got);
	source->left -= got;
	atomic_store(&stop, source->stops);
	return got;
}

static int put_source(const char *name, size_t size, struct source source, uint64_t max_bytes, struct error *err)
{
	struct byte_stream stream = {.size_bytes = size, .read = read_source, .ctx = &source};

	return spool_directory_put(spool, name, &stream, "{\"v\":1}", max_bytes, &stop, err);
}

static int put(const char *name, size_t size, uint64_t max_bytes)
{
	struct error error;

	return put_source(name, size, (struct source){.left = size}, max_bytes, &error);
}

static void make_file(const char *name)
{
	char at[128];

	snprintf(at, sizeof(at), "%s/%s", path, name);
	const int fd = open(at, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void check_usage(uint64_t files, uint64_t bytes)
{
	const struct spool_usage usage = spool_directory_usage(spool);

	assert_int_equal(usage.files, files);
	assert_int_equal(usage.bytes, bytes);
}

static void test_entry_outlives_the_process(void **state)
{
	char(*names)[NAME_MAX + 1] = NULL;
	uint64_t size = 0;
	size_t count;
	char byte = 0;

	(void)state;
	assert_int_equal(put("a.pcapng", 300000, 0), 0);
	assert_int_equal(put("b.pcapng", 5, 0), 0);
	check_usage(2, 300005);
	reopen();
	check_usage(2, 300005);
	assert_int_equal(spool_directory_list(spool, &names, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(names[0], "a.pcapng");
	assert_string_equal(names[1], "b.pcapng");
	free(names);
	assert_int_equal(spool_directory_update(spool, "a.pcapng", "{\"v\":2}"), 0);
	char *text = spool_directory_state(spool, "a.pcapng");
	assert_string_equal(text, "{\"v\":2}");
	free(text);
	const int fd = spool_directory_open_file(spool, "a.pcapng", &size, &stop);
	assert_true(fd >= 0);
	assert_int_equal(size, 300000);
	assert_int_equal(pread(fd, &byte, 1, 299999), 1);
	assert_int_equal(byte, 'x');
	close(fd);
	assert_int_equal(spool_directory_remove(spool, "a.pcapng"), 0);
	assert_int_equal(spool_directory_remove(spool, "a.pcapng"), -ENOENT);
	check_usage(1, 5);
	assert_null(spool_directory_state(spool, "a.pcapng"));
	assert_int_equal(count_files(false), 2);
}

static void test_what_is_over_the_limit_is_refused(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(put("a.pcapng", 600, 1000), 0);
	assert_int_equal(put_source("b.pcapng", 401, (struct source){.left = 401}, 1000, &error), -EDQUOT);
	assert_non_null(strstr(error.text, "spool.max_bytes"));
	assert_int_equal(put("b.pcapng", 400, 1000), 0);
	check_usage(2, 1000);
}

static void test_refused_entries_leave_nothing(void **state)
{
	(void)state;
	assert_int_equal(put("a.pcapng", 5, 0), 0);
	assert_int_equal(put("a.pcapng", 6, 0), -EEXIST);
	assert_int_equal(put("../a.pcapng", 5, 0), -EINVAL);
	assert_int_equal(put(".a.pcapng", 5, 0), -EINVAL);
	assert_int_equal(put("a.pcapng.spool", 5, 0), -EINVAL);
	assert_int_equal(put_source("short.pcapng", 9, (struct source){.left = 8}, 0, NULL), -EPROTO);
	assert_int_equal(put_source("stopped.pcapng", 1 << 20, (struct source){.left = 1 << 20, .stops = true}, 0,
				    NULL),
			 -ECANCELED);
	assert_int_equal(count_files(false), 2);
	check_usage(1, 5);
}

static void test_what_a_killed_process_left_is_removed_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(put("a.pcapng", 5, 0), 0);
	make_file(".b.pcapng.spooling");
	make_file("c.pcapng.spool");
	make_file("mine.pcapng");
	make_file(".hidden");
	make_file("note.json");
	assert_int_equal(mkdirat(AT_FDCWD, path, 0700), -1);
	reopen();
	check_usage(1, 5);
	assert_int_equal(count_files(false), 5);
	assert_int_equal(spool_directory_remove(spool, "a.pcapng"), 0);
	assert_int_equal(count_files(false), 3);
}

static void test_one_process_has_the_directory(void **state)
{
	struct spool_directory *second = NULL;
	struct error error;

	(void)state;
	assert_int_equal(spool_directory_open(path, &second, &error), -EBUSY);
	assert_non_null(strstr(error.text, "another pcapdaemon"));
	assert_int_equal(spool_directory_open("/no/such/directory", &second, &error), -ENOENT);
	assert_non_null(strstr(error.text, "spool.dir"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_entry_outlives_the_process, make, destroy),
		cmocka_unit_test_setup_teardown(test_what_is_over_the_limit_is_refused, make, destroy),
		cmocka_unit_test_setup_teardown(test_refused_entries_leave_nothing, make, destroy),
		cmocka_unit_test_setup_teardown(test_what_a_killed_process_left_is_removed_and_nothing_else, make,
						destroy),
		cmocka_unit_test_setup_teardown(test_one_process_has_the_directory, make, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
