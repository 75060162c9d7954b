/* SPDX-License-Identifier: BSD-2-Clause */
/* A host with IPv6 may use any address of its network, which has at least a /64; so that counts as one peer. */
#include "net/peer_address.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void read_ipv6(struct peer_address *peer, struct in6_addr address)
{
	char network[INET6_ADDRSTRLEN] = "unknown";
	const bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(&address);

	(void)inet_ntop(AF_INET6, &address, peer->text, sizeof(peer->text));
	if (!is_ipv4)
		memset(address.s6_addr + 8, 0, 8);
	(void)inet_ntop(AF_INET6, &address, network, sizeof(network));
	snprintf(peer->network, sizeof(peer->network), "%s%s", network, is_ipv4 ? "" : "/64");
}

void peer_address_read(struct peer_address *peer, const struct sockaddr *address)
{
	snprintf(peer->text, sizeof(peer->text), "unknown");
	if (address->sa_family == AF_INET6) {
		read_ipv6(peer, ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
		return;
	}
	if (address->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, peer->text,
				sizeof(peer->text));
	snprintf(peer->network, sizeof(peer->network), "%s", peer->text);
}

void peer_address_of(struct peer_address *peer, int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_storage room;
	} address = {.room.ss_family = AF_UNSPEC};
	socklen_t size = sizeof(address);

	if (getpeername(fd, &address.any, &size) < 0)
		address.any.sa_family = AF_UNSPEC;
	peer_address_read(peer, &address.any);
}
