/* SPDX-License-Identifier: BSD-2-Clause */
/* libevent parses host and port, and insists on a numeric host. */
#include "trigger/input_address.h"

#include <errno.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0660

static int parse_path(const char *text, struct input_address *address, struct error *err)
{
	struct sockaddr_un *path = (void *)&address->socket;

	if (strlen(text) >= sizeof(path->sun_path))
		return error_set(err, -EINVAL, "the path is longer than %zu bytes", sizeof(path->sun_path) - 1);
	path->sun_family = AF_UNIX;
	memcpy(path->sun_path, text, strlen(text) + 1);
	address->size = sizeof(*path);
	address->is_path = true;
	return 0;
}

static bool has_port(const struct input_address *address)
{
	if (address->socket.ss_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)&address->socket)->sin_port;
	return ((const struct sockaddr_in6 *)(const void *)&address->socket)->sin6_port;
}

int input_address_parse(const char *text, struct input_address *address, struct error *err)
{
	int size = sizeof(address->socket);

	*address = (struct input_address){0};
	if (*text == '/')
		return parse_path(text, address, err);
	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&address->socket, &size) < 0 || !has_port(address))
		return error_set(err, -EINVAL,
				 "must be an absolute path, or a numeric host and a port such as 127.0.0.1:5140");
	address->size = (socklen_t)size;
	return 0;
}

static const char *path_of(const struct input_address *address)
{
	return ((const struct sockaddr_un *)(const void *)&address->socket)->sun_path;
}

/* Only a socket is replaced, nothing else that has the name. */
void input_address_remove(const struct input_address *address)
{
	struct stat status;

	if (address->is_path && lstat(path_of(address), &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(path_of(address));
}

int input_address_bind(const struct input_address *address, int type, const char *text, struct error *err)
{
	const int on = 1;
	cleanup(cleanup_close) int fd = socket(address->socket.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", text, strerror(errno));
	input_address_remove(address);
	if (!address->is_path && type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	const mode_t mask = umask(0777 & ~MODE);
	const int r = bind(fd, (const struct sockaddr *)&address->socket, address->size) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return error_set(err, r, "%s: %s", text, strerror(-r));
	return take_fd(fd);
}
