/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel records a unix peer's user and groups when it connects: it cannot claim others later, and no name is
 * looked up to decide. The user's name is for people. A peer whose groups cannot be read (too many) counts as no
 * member.
 */
#include "http/http_peer.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/user_name.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* asm-generic/socket.h */
#endif

#define GROUPS_MAX 1024

static bool is_member(int fd, gid_t primary, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);

	if (group == (gid_t)-1)
		return false;
	if (primary == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

void http_peer_unix(struct http_peer *peer, int fd, gid_t group)
{
	struct ucred credentials = {.uid = (uid_t)-1, .gid = (gid_t)-1};
	socklen_t size = sizeof(credentials);

	peer->allowed = false;
	peer->network[0] = '\0';
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0 || credentials.uid == (uid_t)-1) {
		snprintf(peer->text, sizeof(peer->text), "unix:unknown");
		return;
	}
	peer->allowed = credentials.uid == 0 || credentials.uid == geteuid() || is_member(fd, credentials.gid, group);
	char name[USER_NAME_SIZE];
	if (user_name_find(credentials.uid, name))
		snprintf(peer->text, sizeof(peer->text), "unix:%u(%s)", (unsigned)credentials.uid, name);
	else
		snprintf(peer->text, sizeof(peer->text), "unix:%u", (unsigned)credentials.uid);
}

void http_peer_tcp(struct http_peer *peer, int fd)
{
	struct peer_address address;

	peer_address_of(&address, fd);
	peer->allowed = false;
	snprintf(peer->text, sizeof(peer->text), "tcp:%s", address.text);
	snprintf(peer->network, sizeof(peer->network), "%s", address.network);
}
