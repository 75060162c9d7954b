/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces of this host for status reports: the kernel's state and rates, the recorder's history, the configured
 * aliases. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/network_interface.h"
#include "status/node_recorders.h"

struct config;
struct config_strings;
struct engine;
struct node_interfaces;

struct node_interface {
	char name[NETWORK_INTERFACE_ANY_NAME_MAX + 1]; /* `waiting`: the name in history.interfaces */
	const struct config_strings *aliases;	       /* the configuration's; NULL: none */
	bool present, up;			       /* in the kernel, now */
	bool ring;				       /* one is open: the members up to asked_bytes are valid */
	bool recorder;
	bool waiting; /* a recorder waits for the interface to appear */
	uint64_t captures;
	uint64_t packets, dropped; /* since the ring was opened */
	uint64_t reach_ns;	   /* recorder: how far back history is complete, except for drops */
	uint64_t held_bytes, ring_bytes;
	uint64_t asked_bytes;		   /* larger than the ring if there was not the memory for it */
	double packets_per_s, bytes_per_s; /* in and out, by the kernel's counters, between the last two samples */
};

/* `config` and `engine` must outlive it. NULL on ENOMEM. */
struct node_interfaces *node_interfaces_new(const struct config *config, struct engine *engine);
void node_interfaces_free(struct node_interfaces *interfaces);

/* Call every few seconds: rates are those between the last two calls. */
void node_interfaces_sample(struct node_interfaces *interfaces);

struct node_interface_list {
	struct node_interface *items;
	size_t count;
	size_t total;			 /* larger than `count`: the least important ones are left out */
	struct node_recorder *recorders; /* one for each of history.interfaces */
	size_t recorder_count;
};

/*
 * In the kernel's order, those that are gone, and those that a recorder waits for, last. If there are more than
 * `limit`: recorders first, then interfaces with captures, then the others, each by name. Returns 0 or -errno (no file
 * descriptor, no memory); a list is never a part of what there is unless it tells. Costs a netlink dump, some 20 µs and
 * 5 µs an interface. Deinit the list in any case.
 */
warn_unused int node_interfaces_list(const struct node_interfaces *interfaces, size_t limit,
				     struct node_interface_list *list);
void node_interface_list_deinit(struct node_interface_list *list);

CLEANUP_DEFINE(node_interfaces, struct node_interfaces, node_interfaces_free)
