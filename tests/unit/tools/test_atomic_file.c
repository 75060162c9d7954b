/* SPDX-License-Identifier: BSD-2-Clause */
/* Files appear whole or not at all; a name suggested by a peer stays in the directory and replaces nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcapctl/output/atomic_file.h"

static int enter_directory(void **state)
{
	static char directory[] = "/tmp/pcapctl-file-out-XXXXXX";

	snprintf(directory, sizeof(directory), "/tmp/pcapctl-file-out-XXXXXX");
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	*state = directory;
	return 0;
}

static unsigned count_files(bool remove)
{
	DIR *directory = opendir(".");
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		if (remove)
			unlink(entry->d_name);
	}
	closedir(directory);
	return count;
}

static int leave_directory(void **state)
{
	count_files(true);
	return chdir("/") < 0 ? -1 : rmdir(*state);
}

static void check_content(const char *path, const char *expected)
{
	char content[64];
	cleanup(cleanup_fclose) FILE *file = fopen(path, "re");

	assert_non_null(file);
	content[fread(content, 1, sizeof(content) - 1, file)] = '\0';
	assert_string_equal(content, expected);
}

static void save(const char *path, const char *suggested, const char *content, const char *saved_as)
{
	struct error err;
	cleanup(cleanup_atomic_file) struct atomic_file *file = atomic_file_new(path, &err);
	cleanup(cleanup_free) char *name = NULL;

	assert_non_null(file);
	assert_int_equal(atomic_file_write(file, content, strlen(content)), 0);
	assert_int_equal(atomic_file_commit(file, suggested, &name, &err), 0);
	assert_string_equal(name, saved_as);
	check_content(saved_as, content);
}

static void test_suggested_name_never_replaces_a_file(void **state)
{
	(void)state;
	save(NULL, "n1-eth0.pcapng", "one", "n1-eth0.pcapng");
	save(NULL, "n1-eth0.pcapng", "two", "n1-eth0-1.pcapng");
	save(NULL, "n1-eth0.pcapng", "three", "n1-eth0-2.pcapng");
	check_content("n1-eth0.pcapng", "one");
	assert_int_equal(count_files(false), 3);
}

static void test_suggested_name_cannot_be_a_path(void **state)
{
	(void)state;
	save(NULL, "../../etc/passwd", "a", "_._.._etc_passwd");
	save(NULL, ".bashrc", "b", "_bashrc");
	save(NULL, "-rf", "c", "_rf");
	save(NULL, "a b\n\033.pcapng", "d", "a_b__.pcapng");
	save(NULL, "", "e", "capture.pcapng");
	save(NULL, NULL, "f", "capture-1.pcapng");
}

static void test_given_file_is_replaced_only_at_the_end(void **state)
{
	struct error err;
	struct atomic_file *file;

	(void)state;
	save("out", NULL, "old", "out");
	file = atomic_file_new("out", &err);
	assert_int_equal(atomic_file_write(file, "new", 3), 0);
	check_content("out", "old");
	atomic_file_free(file); /* not committed */
	check_content("out", "old");
	assert_int_equal(count_files(false), 1);
	save("out", NULL, "new", "out");
}

static void test_file_mode_follows_the_umask(void **state)
{
	struct stat st;
	mode_t before = umask(027);

	(void)state;
	save("mode", NULL, "x", "mode");
	umask(before);
	assert_int_equal(stat("mode", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_device_is_written_to_and_directory_is_refused(void **state)
{
	struct error err;
	cleanup(cleanup_atomic_file) struct atomic_file *file = atomic_file_new("/dev/null", &err);
	cleanup(cleanup_free) char *name = NULL;

	(void)state;
	assert_non_null(file);
	assert_int_equal(atomic_file_write(file, "x", 1), 0);
	assert_int_equal(atomic_file_commit(file, NULL, &name, &err), 0);
	assert_null(atomic_file_new(".", &err));
	assert_string_equal(err.text, "cannot write .: Is a directory");
	assert_null(atomic_file_new("no/such/place", &err));
	assert_string_equal(err.text, "cannot write no/such/place: No such file or directory");
}

static void test_full_disk_is_reported(void **state)
{
	struct error err;
	cleanup(cleanup_atomic_file) struct atomic_file *file = atomic_file_new("/dev/full", &err);
	char *name = NULL;

	(void)state;
	assert_int_equal(atomic_file_write(file, "x", 1), -28);
	assert_int_equal(atomic_file_commit(file, NULL, &name, &err), -28);
	assert_null(name);
	assert_string_equal(err.text, "cannot write /dev/full: No space left on device");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(test_suggested_name_never_replaces_a_file),
		IN_DIRECTORY(test_suggested_name_cannot_be_a_path),
		IN_DIRECTORY(test_given_file_is_replaced_only_at_the_end),
		IN_DIRECTORY(test_file_mode_follows_the_umask),
		IN_DIRECTORY(test_device_is_written_to_and_directory_is_refused),
		IN_DIRECTORY(test_full_disk_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
