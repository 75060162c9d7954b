/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network interfaces of this host with all their names, one table for the whole process. The kernel's notices keep
 * it, so that reading it waits for no program that configures interfaces (the kernel's RTNL lock). Any thread, unless a
 * function's comment says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/network_interface.h"

#define LINK_TABLE_MAX 65536 /* interfaces; those with higher indexes are left out */

struct link_entry {
	int index;
	bool up;
	char name[NETWORK_INTERFACE_NAME_SIZE];
};

/* Reads all interfaces, which may wait for the RTNL lock, and starts the thread that keeps the table. 0 or -errno. */
warn_unused int link_table_start(void);
void link_table_stop(void);

/*
 * The device that has this alternative name. 0, -ENODEV (there is none), or -ENOTCONN (the table was not started). The
 * kernel sends no notice of a name that an interface gets while it is down: it is found once the interface goes up, or
 * after link_table_ask.
 */
warn_unused int link_table_find(const char *name, int *index);

/* Asks the kernel for the device that has this name, and puts it into the table. Results as above, or another -errno.
 * May wait for the RTNL lock. */
warn_unused int link_table_ask(const char *name, int *index);

/* Copies all interfaces in the order of their indexes; the caller frees `*list`. 0, -ENOTCONN as above, or -ENOMEM. */
warn_unused int link_table_list(struct link_entry **list, size_t *count);

/*
 * Returns a non-blocking descriptor that becomes readable whenever the table has changed, after the change is in it; or
 * -errno, -ENOTCONN as above. The caller ends it with link_table_unwatch.
 */
warn_unused int link_table_watch(void);
bool link_table_has_changed(int fd); /* drains the descriptor */
void link_table_unwatch(int *fd);    /* closes it; -1: no effect */

/* What a message of the kernel says of a link. */
struct link_message {
	int index;
	bool removed, up;
	char name[NETWORK_INTERFACE_NAME_SIZE];
	const void *alternatives; /* attributes (IFLA_ALT_IFNAME), in the message */
	size_t alternatives_size;
};

/* Reads one message (struct nlmsghdr and on). False: it is not about a link as a whole. Pure function. */
bool link_message_parse(const void *message, size_t size, struct link_message *parsed);
