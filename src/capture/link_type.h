/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the kernel's hardware type of an interface to the link type of its packets in files, as libpcap maps them. What
 * has no link layer header that tools understand is captured without it, behind a header of Linux cooked mode.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How a packet gets from the ring into a file. */
enum link_form {
	LINK_AS_IS,
	LINK_CAN,	/* a CAN frame, whose first fields the kernel has in its own byte order */
	LINK_COOKED_V1, /* the ring has it without its link layer header; it gets a struct of 16 bytes */
	LINK_COOKED_V2, /* ... of 20 bytes (LINKTYPE_LINUX_SLL2) */
};

struct network_interface;

struct link_type {
	uint16_t linktype; /* LINKTYPE_… of tcpdump.org/linktypes.html */
	enum link_form form;
};

/* `hardware`: ARPHRD_… of linux/if_arp.h. */
struct link_type link_type_of(unsigned hardware);

/* The same for one interface: some that have Ethernet's hardware type have other packets. `tag`: the kind of the tags
 * of a switch behind it ("": there is none). Pure function. */
struct link_type link_type_of_named(unsigned hardware, const char *name, const char *tag);

/* The same, with the tag read from sysfs. Does not wait for the kernel's RTNL lock. */
struct link_type link_type_read(const struct network_interface *device);

/* Whether packets of both hardware types can stand in one ring and under one link type. */
bool link_type_is_same(unsigned one, unsigned other);

static inline bool link_form_is_cooked(enum link_form form)
{
	return form == LINK_COOKED_V1 || form == LINK_COOKED_V2;
}
