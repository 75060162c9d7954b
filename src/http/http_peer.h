/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer of a connection, and whether it may use the control API. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "net/peer_address.h"

#define HTTP_PEER_TEXT_SIZE 64

struct http_peer {
	bool allowed;			 /* a unix peer whose credentials suffice; over TCP the token decides */
	char text[HTTP_PEER_TEXT_SIZE];	 /* "unix:1000(alice)", "unix:1000", "tcp:127.0.0.1" */
	char network[PEER_NETWORK_SIZE]; /* of TCP */
};

/* Allows root, our own user, and members of the group ((gid_t)-1: none). Asks only the kernel, and /etc/passwd for the
 * name. */
void http_peer_unix(struct http_peer *peer, int fd, gid_t group);
void http_peer_tcp(struct http_peer *peer, int fd);
