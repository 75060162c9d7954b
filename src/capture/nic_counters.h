/* SPDX-License-Identifier: BSD-2-Clause */
/* What an interface and its driver lost before any packet socket could see it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nic_counters {
	bool known;
	uint64_t rx_dropped, rx_missed_errors; /* struct rtnl_link_stats64 in linux/if_link.h */
	uint64_t queue_drops;		       /* ethtool -S: of all receive queues */
	uint64_t packets;		       /* received and sent; loopback's once */
	bool up, carrier;		       /* the interface's state when they were read */
};

/* Reads the counters of an interface; `known` is false if that fails. Blocks while other programs configure interfaces
 * (the kernel's RTNL lock). */
void nic_counters_read(int ifindex, struct nic_counters *counters);

/* How much each has grown, and the state at the end; nothing if one of the two is not known or a counter was reset. */
struct nic_counters nic_counters_since(const struct nic_counters *begin, const struct nic_counters *end);

/* For tests: reads a reply to RTM_GETLINK. False: it is none of an interface, or has no counters. */
bool nic_counters_parse(const void *reply, size_t size, struct nic_counters *counters, char name[static 16]);

/* For tests: whether this is the name that a driver gives to packets which a receive queue had no room for. */
bool nic_counter_is_queue_drop(const char *name);
