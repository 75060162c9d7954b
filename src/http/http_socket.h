/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening sockets. Creating one may block (look-up of the group's name), so only at start. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

struct http_socket_file; /* a unix socket with its name in the file system */

/*
 * Listens at `path`, from the first moment with mode 0660 if the group exists (`group` NULL or "": none), else 0600.
 * Replaces a socket on
 * which no process listens, and nothing else. Creates a missing parent directory with mode 0755. NULL and `err` on
 * failure.
 */
struct http_socket_file *http_socket_file_new(const char *path, const char *group, struct error *err);
void http_socket_file_free(struct http_socket_file *file); /* also removes the name if it is still this socket's */

bool http_socket_file_is_gone(const struct http_socket_file *file); /* its name was removed */
int http_socket_file_fd(const struct http_socket_file *file);
gid_t http_socket_file_group(const struct http_socket_file *file); /* (gid_t)-1: none */

/* Listens at "127.0.0.1:7227" or "[::1]:7227" (numeric only). The socket, or a negative errno and `err`. */
warn_unused int http_listen_tcp(const char *address, bool *loopback, struct error *err);

CLEANUP_DEFINE(http_socket_file, struct http_socket_file, http_socket_file_free)
