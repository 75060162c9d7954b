/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets of the control API. May block while they are made (name look-up of the group), so: at start.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

struct http_socket_file; /* a unix socket with its name in the file system */

/*
 * Listens at `path`: mode 0660 with the group if there is one of this name (`group` NULL or "": none), else 0600. A
 * socket that nobody listens on any more is replaced, everything else that is there is left alone. A missing parent
 * directory is made, 0755. NULL and `err` on failure.
 */
struct http_socket_file *http_socket_file_new(const char *path, const char *group, struct error *err);
void http_socket_file_free(
	struct http_socket_file *file); /* closes, and removes the name if it is still this socket's */

int http_socket_file_fd(const struct http_socket_file *file);
gid_t http_socket_file_group(const struct http_socket_file *file); /* (gid_t)-1: none */

/* Listens at "127.0.0.1:7227" or "[::1]:7227" (numbers only). The socket, or a negative errno and `err`. */
warn_unused int http_listen_tcp(const char *address, bool *loopback, struct error *err);

CLEANUP_DEFINE(http_socket_file, struct http_socket_file, http_socket_file_free)
