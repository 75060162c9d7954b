/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To find out whether a socket in the file system is dead, we connect to it: ECONNREFUSED means that no process
 * listens. A new one is made in a directory that only we may enter, and gets its owner and mode there; then it is moved
 * to its place in one step. So no other process can put something else under our hands, and none sees a socket that is
 * not yet, or no longer, as it should be. At the end the name is removed only if it still has our inode: another
 * process may have replaced it.
 */
#include "http/http_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"

#define BACKLOG 128
#define SOCKET_NAME "s"

struct http_socket_file {
	int fd;
	gid_t group;
	char *path; /* set once bound */
	dev_t device;
	ino_t inode;
};

static int make_parent(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	cleanup(cleanup_free) char *parent = NULL;

	if (!slash || slash == path)
		return 0;
	parent = strndup(path, (size_t)(slash - path));
	if (!parent)
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	if (mkdir(parent, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: cannot create the directory: %s", parent, strerror(errno));
	return 0;
}

/* Ensures that nothing is at the path; removes a dead socket. */
static int clear_path(const struct sockaddr_un *address, struct error *err)
{
	const char *path = address->sun_path;
	cleanup(cleanup_close) int fd = -1;
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return error_set(err, -EEXIST, "%s: exists and is not a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "%s: socket: %s", path, strerror(errno));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return error_set(err, -EADDRINUSE, "%s: another process listens there", path);
	if (errno != ECONNREFUSED && errno != ENOENT)
		return error_set(err, -errno, "%s: cannot check whether a process listens there: %s", path,
				 strerror(errno));
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(err, -errno, "%s: cannot remove the old socket: %s", path, strerror(errno));
	return 0;
}

/* Opens the socket, in our own directory, to the group, if there is one. Without the permission it stays the owner's.
 */
static void share_with_group(struct http_socket_file *file, int directory, const char *group)
{
	const struct group *found = group && group[0] ? getgrnam(group) : NULL;

	if (!found)
		return;
	if (fchownat(directory, SOCKET_NAME, (uid_t)-1, found->gr_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(directory, SOCKET_NAME, 0660, 0) < 0) {
		log_warning("api-group", log_str("group", group), log_str("error", strerror(errno)));
		return;
	}
	file->group = found->gr_gid;
}

/* Makes the socket `SOCKET_NAME` in the directory; a path by way of /proc is never too long. */
static int bind_inside(struct http_socket_file *file, int directory, const char *group)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SOCKET_NAME, directory);
	file->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (file->fd < 0 || bind(file->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchmodat(directory, SOCKET_NAME, 0600, 0) < 0)
		return -errno;
	share_with_group(file, directory, group);
	if (listen(file->fd, BACKLOG) < 0 || fstatat(directory, SOCKET_NAME, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	return 0;
}

static int bind_and_move(struct http_socket_file *file, const char *path, int directory, const char *group)
{
	const int r = bind_inside(file, directory, group);

	if (r < 0)
		return r;
	if (renameat2(directory, SOCKET_NAME, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	const int error = -errno;
	unlinkat(directory, SOCKET_NAME, 0);
	return error;
}

static int bind_path(struct http_socket_file *file, const char *path, const char *group, struct error *err)
{
	cleanup(cleanup_free) char *name = NULL;

	file->path = strdup(path);
	if (!file->path || asprintf(&name, "%s.XXXXXX", path) < 0) {
		name = NULL;
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	}
	if (!mkdtemp(name))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	cleanup(cleanup_close) int directory = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int r = directory < 0 ? -errno : bind_and_move(file, path, directory, group);
	rmdir(name);
	return r < 0 ? error_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

struct http_socket_file *http_socket_file_new(const char *path, const char *group, struct error *err)
{
	cleanup(cleanup_http_socket_file) struct http_socket_file *file = calloc(1, sizeof(*file));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = strlen(path);

	if (!file) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	file->fd = -1;
	file->group = (gid_t)-1;
	if (size >= sizeof(address.sun_path)) {
		error_set(err, -ENAMETOOLONG, "%s: a socket's path may have at most %zu bytes", path,
			  sizeof(address.sun_path) - 1);
		return NULL;
	}
	memcpy(address.sun_path, path, size);
	if (make_parent(path, err) < 0 || clear_path(&address, err) < 0 || bind_path(file, path, group, err) < 0)
		return NULL;
	return take(file);
}

void http_socket_file_free(struct http_socket_file *file)
{
	struct stat status;

	if (!file)
		return;
	if (file->path && file->inode && lstat(file->path, &status) == 0 && status.st_dev == file->device &&
	    status.st_ino == file->inode)
		unlink(file->path);
	free(file->path);
	if (file->fd >= 0)
		close(file->fd);
	free(file);
}

bool http_socket_file_is_gone(const struct http_socket_file *file)
{
	struct stat status;

	return lstat(file->path, &status) < 0 && errno == ENOENT;
}

int http_socket_file_fd(const struct http_socket_file *file)
{
	return file->fd;
}

gid_t http_socket_file_group(const struct http_socket_file *file)
{
	return file->group;
}

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* Splits "host:port" or "[host]:port"; false if it is neither, or out of memory. */
static bool split_address(const char *address, char **host, char **port)
{
	const char *colon = strrchr(address, ':');
	size_t size = colon ? (size_t)(colon - address) : 0;

	if (!size || !colon[1])
		return false;
	if (address[0] == '[' && address[size - 1] == ']') {
		address++;
		size -= 2;
	} else if (memchr(address, ':', size)) {
		return false;
	}
	*host = strndup(address, size);
	*port = strdup(colon + 1);
	return *host && *port;
}

int http_listen_tcp(const char *address, bool *loopback, struct error *err)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	cleanup(cleanup_free) char *host = NULL, *port = NULL;
	cleanup(cleanup_close) int fd = -1;
	struct addrinfo *found = NULL;
	int r = -EINVAL, on = 1;

	if (!split_address(address, &host, &port) || getaddrinfo(host, port, &hints, &found) != 0)
		return error_set(err, -EINVAL,
				 "%s: must be an IP address and a port, such as 127.0.0.1:7227 or [::1]:7227", address);
	*loopback = is_loopback(found->ai_addr);
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && found->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		r = error_set(err, -errno, "%s: %s", address, strerror(errno));
	else
		r = take_fd(fd);
	freeaddrinfo(found);
	return r;
}
