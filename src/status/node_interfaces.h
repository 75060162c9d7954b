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

struct config;
struct config_strings;
struct engine;
struct node_interfaces;

#define NODE_INTERFACES_MAX 256

struct node_interface {
	char name[16];
	const struct config_strings *aliases; /* the configuration's; NULL: none */
	bool present, up;		      /* in the kernel, now */
	bool ring;			      /* one is open: the members up to ring_bytes are valid */
	bool recorder;
	uint64_t captures;
	uint64_t packets, dropped; /* since the ring was opened */
	uint64_t reach_ns;	   /* recorder: how far back history is complete, except for drops */
	uint64_t held_bytes, ring_bytes;
	double packets_per_s, bytes_per_s; /* in and out, by the kernel's counters, between the last two samples */
};

/* `config` and `engine` must outlive it. NULL on ENOMEM. */
struct node_interfaces *node_interfaces_new(const struct config *config, struct engine *engine);
void node_interfaces_free(struct node_interfaces *interfaces);

/* Call every few seconds: rates are those between the last two calls. */
void node_interfaces_sample(struct node_interfaces *interfaces);

/* Fills in the interfaces in the kernel's order, then those that are gone, and returns their number. Costs a netlink
 * dump: about 20 µs, and 5 µs for each interface. */
size_t node_interfaces_list(const struct node_interfaces *interfaces,
			    struct node_interface list[static NODE_INTERFACES_MAX]);

CLEANUP_DEFINE(node_interfaces, struct node_interfaces, node_interfaces_free)
