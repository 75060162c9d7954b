/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket in the file system: who may use it, what it replaces, what it leaves alone. */
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

/* Fails if a test leaves a name behind. */
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

static void without_a_group_it_is_the_owners(void **state)
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

static void a_group_of_ours_may_use_it(void **state)
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

static void a_missing_directory_is_made_for_all_to_look_into(void **state)
{
	struct http_socket_file *file = must_listen(NULL);
	char sub[80];

	(void)state;
	snprintf(sub, sizeof(sub), "%s/sub", directory);
	assert_int_equal(mode_of(sub), 0755);
	http_socket_file_free(file);
}

/* As a process that was killed leaves it. */
static void leave_dead_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
}

static void a_dead_socket_is_replaced(void **state)
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

static void a_live_socket_is_not(void **state)
{
	struct http_socket_file *file = must_listen(NULL);
	int fd;

	(void)state;
	assert_null(http_socket_file_new(path, NULL, &err));
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "another process listens there"));
	fd = connect_to(path);
	assert_true(fd >= 0); /* still */
	close(fd);
	http_socket_file_free(file);
}

static void a_file_is_not_replaced(void **state)
{
	struct http_socket_file *file = must_listen(NULL);

	(void)state;
	http_socket_file_free(file);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	assert_null(http_socket_file_new(path, NULL, &err));
	assert_non_null(strstr(err.text, "no socket"));
	assert_int_equal(unlink(path), 0);
}

static void what_has_taken_its_place_is_left_alone(void **state)
{
	struct http_socket_file *file = must_listen(NULL), *other;

	(void)state;
	assert_int_equal(unlink(path), 0);
	other = must_listen(NULL);
	http_socket_file_free(file);
	assert_int_equal(mode_of(path), 0600); /* is there */
	http_socket_file_free(other);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_name_too_long_is_refused(void **state)
{
	char name[200];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	name[0] = '/';
	assert_null(http_socket_file_new(name, NULL, &err));
	assert_non_null(strstr(err.text, "longer than"));
}

static void only_numbers_are_a_tcp_address(void **state)
{
	static const char *const bad[] = {
		"",	 "7227",      ":7227",		"localhost:7227",   "127.0.0.1", "127.0.0.1:", "::1:7227",
		"[::1]", "[::1:7227", "127.0.0.1:http", "127.0.0.1:70000x", "1.2.3:x",	 "[]:1",       "[127.0.0.1"};
	bool loopback;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_listen_tcp(bad[i], &loopback, &err), -EINVAL);
}

static void our_own_user_is_allowed(void **state)
{
	struct http_peer peer;
	char text[HTTP_PEER_TEXT_SIZE];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	http_peer_unix(&peer, pair[0], (gid_t)-1);
	assert_true(peer.allowed);
	snprintf(text, sizeof(text), "unix:%u", (unsigned)getuid());
	assert_string_equal(peer.text, text);
	close(pair[0]);
	close(pair[1]);
}

static void who_cannot_be_known_is_not(void **state)
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
		with_directory(without_a_group_it_is_the_owners),
		with_directory(a_group_of_ours_may_use_it),
		with_directory(a_missing_directory_is_made_for_all_to_look_into),
		with_directory(a_dead_socket_is_replaced),
		with_directory(a_live_socket_is_not),
		with_directory(a_file_is_not_replaced),
		with_directory(what_has_taken_its_place_is_left_alone),
		cmocka_unit_test(a_name_too_long_is_refused),
		cmocka_unit_test(only_numbers_are_a_tcp_address),
		cmocka_unit_test(our_own_user_is_allowed),
		cmocka_unit_test(who_cannot_be_known_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
