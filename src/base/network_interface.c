/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain names go through ioctls, which the kernel answers without its RTNL lock. They take neither long names nor those
 * with a colon, which the kernel reads as the end of the name; for these there is the link table.
 */
#include "base/network_interface.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/link_table.h"

#define RENAMES_MAX 8 /* of one device, while it is being read */

/* Programs without a link table ask the kernel. */
static int find_alternative(const char *name, int *index)
{
	const int r = link_table_find(name, index);

	return r == -ENOTCONN ? link_table_ask(name, index) : r;
}

static int ask(int fd, unsigned long what, struct ifreq *request)
{
	return ioctl(fd, what, request) < 0 ? -errno : 0;
}

bool network_interface_is_alternative(const char *name)
{
	return strlen(name) >= IFNAMSIZ || strchr(name, ':');
}

static int find_index(int fd, const char *name, int *index)
{
	struct ifreq request = {0};

	if (strlen(name) > NETWORK_INTERFACE_ANY_NAME_MAX)
		return -ENODEV;
	if (network_interface_is_alternative(name))
		return find_alternative(name, index);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	const int r = ask(fd, SIOCGIFINDEX, &request);
	if (r == 0)
		*index = request.ifr_ifindex;
	return r;
}

/* -EAGAIN: the name has changed meanwhile. */
static int read_once(int fd, int index, struct network_interface *interface)
{
	struct ifreq request = {.ifr_ifindex = index};
	struct network_interface read = {.index = index};
	int now = 0;

	int r = ask(fd, SIOCGIFNAME, &request);
	if (r < 0)
		return r;
	memcpy(read.name, request.ifr_name, sizeof(read.name));
	if (ask(fd, SIOCGIFFLAGS, &request) < 0)
		return -EAGAIN;
	read.up = request.ifr_flags & IFF_UP;
	if (ask(fd, SIOCGIFHWADDR, &request) < 0)
		return -EAGAIN;
	read.hardware = request.ifr_hwaddr.sa_family;
	r = find_index(fd, read.name, &now);
	if (r < 0 || now != index)
		return -EAGAIN;
	*interface = read;
	return 0;
}

static int read_device(int fd, int index, struct network_interface *interface)
{
	int r = -EAGAIN;

	for (unsigned i = 0; i < RENAMES_MAX && r == -EAGAIN; i++)
		r = read_once(fd, index, interface);
	return r;
}

int network_interface_find(const char *name, struct network_interface *interface)
{
	cleanup(cleanup_close) const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int index = 0;

	if (fd < 0)
		return -errno;
	const int r = find_index(fd, name, &index);
	return r < 0 ? r : read_device(fd, index, interface);
}

int network_interface_read(int index, struct network_interface *interface)
{
	cleanup(cleanup_close) const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : read_device(fd, index, interface);
}

bool network_interface_is_same(const char *one, const char *other)
{
	struct network_interface first, second;

	if (strcmp(one, other) == 0)
		return true;
	return network_interface_find(one, &first) == 0 && network_interface_find(other, &second) == 0 &&
	       first.index == second.index;
}
