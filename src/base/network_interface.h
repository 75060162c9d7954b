/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network interfaces are devices. The kernel knows each by its index; a device has one name of at most 15 bytes, which
 * may change, and any number of alternative names of up to 127 bytes (`ip link property add`). People may use any of
 * them. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

#define NETWORK_INTERFACE_NAME_SIZE 16	   /* of its name, with the NUL: IFNAMSIZ */
#define NETWORK_INTERFACE_ANY_NAME_MAX 127 /* bytes of an alternative name: ALTIFNAMSIZ - 1 */

struct network_interface {
	int index;
	char name[NETWORK_INTERFACE_NAME_SIZE];
	unsigned short hardware; /* ARPHRD_… of linux/if_arp.h */
	bool up;
};

/* Whether only an alternative name can look like this: it is long, or has a colon. */
bool network_interface_is_alternative(const char *name);

/* The device that has this name or alternative name now. 0, -ENODEV (there is none) or another -errno (not known).
 * Never waits while other programs configure interfaces (the kernel's RTNL lock) once base/link_table.h was started. */
warn_unused int network_interface_find(const char *name, struct network_interface *interface);

/* The device with this index. Results as above. */
warn_unused int network_interface_read(int index, struct network_interface *interface);

/* Whether two names mean one device, or are the same name. */
bool network_interface_is_same(const char *one, const char *other);
