/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet socket learns that its interface goes down, but not that it is removed while down. Hence this watch. */
#include "capture/link_watch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

int link_watch_open(void)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		const int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

bool link_watch_read(int fd)
{
	uint8_t message[8192]; /* truncated: only its arrival matters */
	bool changed = false;

	for (;;) {
		const ssize_t size = recv(fd, message, sizeof(message), MSG_TRUNC);

		if (size < 0 && errno != ENOBUFS && errno != EINTR)
			return changed;
		changed |= size > 0 || errno == ENOBUFS;
		if (size == 0)
			return changed;
	}
}
