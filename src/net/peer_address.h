/* SPDX-License-Identifier: BSD-2-Clause */
/* The address of a TCP peer, as text and as the network that limits count. */
#pragma once

#include <netinet/in.h>

#define PEER_NETWORK_SIZE 64

struct sockaddr;

struct peer_address {
	char text[INET6_ADDRSTRLEN]; /* "192.0.2.1", "2001:db8::1" */
	/* What one host or customer usually has: "192.0.2.1", "2001:db8:0:1::/64". */
	char network[PEER_NETWORK_SIZE];
};

void peer_address_read(struct peer_address *peer, const struct sockaddr *address);

/* The same of a connection. */
void peer_address_of(struct peer_address *peer, int fd);
