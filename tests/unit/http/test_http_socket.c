/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's file: its permissions, what it replaces and what it leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/user_name.h"
#include "http/http_peer.h"
#include "http/http_socket.h"

static char directory[64], path[96];
static struct error err;

static int make_directory(void **state)
{
	(void)state;
	umask(022);
	snprintf(directory, sizeof(directory), "/tmp/pcapdaemon-socket-XXXXXX");
	snprintf(path, sizeof(path), "%s/sub/s", mkdtemp(directory) ? directory : "");
	err.text[0] = '\0';
	return directory[0] ? 0 : -1;
}

/* Fails if a test leaves a file. */
static int remove_directory(void **state)
{
	char sub[80];

	(void)state;
	snprintf(sub, sizeof(sub), "%s/sub", directory);
	if (rmdir(sub) < 0 && errno != ENOENT)
		return -1;
	return rmdir(directory);
}

static struct http_socket_file *must_listen(const char *group)
{
	struct http_socket_file *file = http_socket_file_new(path, group, &err);

	if (!file)
		fail_msg("%s", err.text);
	return file;
}

static mode_t mode_of(const char *name)
{
	struct stat status;

	assert_int_equal(stat(name, &status), 0);
	return status.st_mode & 07777;
}

static int connect_to(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void test_socket_without_a_group_is_the_owners_only(void **state)
{
	static const char *const groups[] = {NULL, "", "no-such-group-here"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct http_socket_file *file = must_listen(groups[i]);

		assert_int_equal(mode_of(path), 0600);
		assert_int_equal(http_socket_file_group(file), (gid_t)-1);
		http_socket_file_free(file);
	}
}

static void test_configured_group_may_use_the_socket(void **state)
{
	struct group *group = getgrgid(getegid());
	struct http_socket_file *file;
	struct stat status;
	char name[64];

	(void)state;
	assert_non_null(group);
	snprintf(name, sizeof(name), "%s", group->gr_name);
	file = must_listen(name);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
	assert_int_equal(status.st_gid, getegid());
	assert_int_equal(http_socket_file_group(file), getegid());
	http_socket_file_free(file);
}

/* The name appears by a move, and nothing changes afterwards. */
static void test_socket_has_its_mode_from_the_first_moment(void **state)
{
	const struct group *group = getgrgid(getegid());
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event)))), name[64], sub[80];
	const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	unsigned moved = 0;

	(void)state;
	snprintf(name, sizeof(name), "%s", group->gr_name);
	snprintf(sub, sizeof(sub), "%s/sub", directory);
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_true(inotify_add_watch(watch, sub, IN_CREATE | IN_ATTRIB | IN_MOVED_TO) >= 0);
	struct http_socket_file *file = must_listen(name);
	assert_int_equal(mode_of(path), 0660);
	const ssize_t size = read(watch, events, sizeof(events));
	for (ssize_t at = 0; at < size;) {
		const struct inotify_event *event = (const struct inotify_event *)(const void *)(events + at);

		if (event->len && strcmp(event->name, "s") == 0) {
			assert_int_equal(event->mask & (IN_CREATE | IN_ATTRIB), 0);
			moved++;
		}
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	assert_int_equal(moved, 1);
	close(watch);
	http_socket_file_free(file);
}

static void test_removed_socket_is_noticed(void **state)
{
	struct http_socket_file *file = must_listen(NULL);

	(void)state;
	assert_false(http_socket_file_is_gone(file));
	assert_int_equal(unlink(path), 0);
	assert_true(http_socket_file_is_gone(file));
	http_socket_file_free(file);
}

static void test_missing_directory_is_created_world_readable(void **state)
{
	struct http_socket_file *file = must_listen(NULL);
	char sub[80];

	(void)state;
	snprintf(sub, sizeof(sub), "%s/sub", directory);
	assert_int_equal(mode_of(sub), 0755);
	http_socket_file_free(file);
}

/* As a killed process leaves it. */
static void leave_dead_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
}

static void test_dead_socket_is_replaced(void **state)
{
	struct http_socket_file *file = must_listen(NULL);
	int fd;

	(void)state;
	http_socket_file_free(file);
	leave_dead_socket();
	file = must_listen(NULL);
	fd = connect_to(path);
	assert_true(fd >= 0);
	close(fd);
	http_socket_file_free(file);
}

static void test_live_socket_is_not_replaced(void **state)
{
	struct http_socket_file *file = must_listen(NULL);
	int fd;

	(void)state;
	assert_null(http_socket_file_new(path, NULL, &err));
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "another process listens there"));
	fd = connect_to(path);
	assert_true(fd >= 0); /* still listens */
	close(fd);
	http_socket_file_free(file);
}

static void test_regular_file_is_not_replaced(void **state)
{
	struct http_socket_file *file = must_listen(NULL);

	(void)state;
	http_socket_file_free(file);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	assert_null(http_socket_file_new(path, NULL, &err));
	assert_non_null(strstr(err.text, "is not a socket"));
	assert_int_equal(unlink(path), 0);
}

static void test_socket_that_replaced_ours_is_left_alone(void **state)
{
	struct http_socket_file *file = must_listen(NULL), *other;

	(void)state;
	assert_int_equal(unlink(path), 0);
	other = must_listen(NULL);
	http_socket_file_free(file);
	assert_int_equal(mode_of(path), 0600); /* still exists */
	http_socket_file_free(other);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_path_that_is_too_long_is_refused(void **state)
{
	char name[200];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	name[0] = '/';
	assert_null(http_socket_file_new(name, NULL, &err));
	assert_non_null(strstr(err.text, "at most 107 bytes"));
}

static void test_tcp_address_must_be_numeric(void **state)
{
	static const char *const bad[] = {
		"",	 "7227",      ":7227",		"localhost:7227",   "127.0.0.1", "127.0.0.1:", "::1:7227",
		"[::1]", "[::1:7227", "127.0.0.1:http", "127.0.0.1:70000x", "1.2.3:x",	 "[]:1",       "[127.0.0.1"};
	bool loopback;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_listen_tcp(bad[i], &loopback, &err), -EINVAL);
}

static void test_own_user_is_allowed(void **state)
{
	struct http_peer peer;
	char text[HTTP_PEER_TEXT_SIZE];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	http_peer_unix(&peer, pair[0], (gid_t)-1);
	assert_true(peer.allowed);
	char name[USER_NAME_SIZE];
	if (user_name_find(getuid(), name))
		snprintf(text, sizeof(text), "unix:%u(%s)", (unsigned)getuid(), name);
	else
		snprintf(text, sizeof(text), "unix:%u", (unsigned)getuid());
	assert_string_equal(peer.text, text);
	close(pair[0]);
	close(pair[1]);
}

static void test_unknown_peer_is_not_allowed(void **state)
{
	struct http_peer peer = {.allowed = true};

	(void)state;
	http_peer_unix(&peer, -1, (gid_t)-1);
	assert_false(peer.allowed);
}

int main(void)
{
#define with_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	static const struct CMUnitTest tests[] = {
		with_directory(test_socket_without_a_group_is_the_owners_only),
		with_directory(test_configured_group_may_use_the_socket),
		with_directory(test_socket_has_its_mode_from_the_first_moment),
		with_directory(test_removed_socket_is_noticed),
		with_directory(test_missing_directory_is_created_world_readable),
		with_directory(test_dead_socket_is_replaced),
		with_directory(test_live_socket_is_not_replaced),
		with_directory(test_regular_file_is_not_replaced),
		with_directory(test_socket_that_replaced_ours_is_left_alone),
		cmocka_unit_test(test_path_that_is_too_long_is_refused),
		cmocka_unit_test(test_tcp_address_must_be_numeric),
		cmocka_unit_test(test_own_user_is_allowed),
		cmocka_unit_test(test_unknown_peer_is_not_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
