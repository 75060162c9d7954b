/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joins three lists by name: getifaddrs(3), whose AF_PACKET entries have flags and the kernel's counters
 * (rtnl_link_stats of linux/if_link.h, 32 bits wide: differences are taken modulo 2^32), the engine's open rings, and
 * the configuration's aliases.
 */
#include "status/node_interfaces.h"

#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "capture/engine.h"
#include "config/config.h"

struct counters {
	char name[16];
	uint32_t packets, bytes;
};

struct sample {
	struct counters counters[NODE_INTERFACES_MAX];
	size_t count;
	uint64_t time_ns; /* boot time; 0: none */
};

struct rate {
	char name[16];
	double packets_per_s, bytes_per_s;
};

struct node_interfaces {
	const struct config *config;
	struct engine *engine;
	struct sample last;
	struct rate rates[NODE_INTERFACES_MAX];
	size_t rate_count;
};

static void take_sample(struct sample *sample)
{
	struct ifaddrs *list = NULL;

	sample->count = 0;
	sample->time_ns = clock_boottime_ns();
	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *entry = list; entry && sample->count < NODE_INTERFACES_MAX;
	     entry = entry->ifa_next) {
		if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_PACKET || !entry->ifa_data)
			continue;
		const struct rtnl_link_stats *stats = entry->ifa_data;
		struct counters *counters = &sample->counters[sample->count++];
		snprintf(counters->name, sizeof(counters->name), "%s", entry->ifa_name);
		counters->packets = stats->rx_packets + stats->tx_packets;
		counters->bytes = stats->rx_bytes + stats->tx_bytes;
	}
	freeifaddrs(list);
}

static const struct counters *find_counters(const struct sample *sample, const char *name)
{
	for (size_t i = 0; i < sample->count; i++) {
		if (strcmp(sample->counters[i].name, name) == 0)
			return &sample->counters[i];
	}
	return NULL;
}

void node_interfaces_sample(struct node_interfaces *interfaces)
{
	struct sample now;

	take_sample(&now);
	const double seconds = (double)(now.time_ns - interfaces->last.time_ns) / NS_PER_S;
	interfaces->rate_count = 0;
	for (size_t i = 0; i < now.count && interfaces->last.time_ns && seconds > 0; i++) {
		const struct counters *before = find_counters(&interfaces->last, now.counters[i].name);
		struct rate *rate = &interfaces->rates[interfaces->rate_count];

		if (!before)
			continue;
		snprintf(rate->name, sizeof(rate->name), "%s", now.counters[i].name);
		rate->packets_per_s = (double)(uint32_t)(now.counters[i].packets - before->packets) / seconds;
		rate->bytes_per_s = (double)(uint32_t)(now.counters[i].bytes - before->bytes) / seconds;
		interfaces->rate_count++;
	}
	interfaces->last = now;
}

static void add_configured(const struct node_interfaces *interfaces, struct node_interface *interface)
{
	const struct config *config = interfaces->config;

	for (size_t i = 0; i < config->interface_count; i++) {
		if (strcmp(config->interfaces[i].name, interface->name) == 0)
			interface->aliases = &config->interfaces[i].alias;
	}
	for (size_t i = 0; i < interfaces->rate_count; i++) {
		if (strcmp(interfaces->rates[i].name, interface->name) != 0)
			continue;
		interface->packets_per_s = interfaces->rates[i].packets_per_s;
		interface->bytes_per_s = interfaces->rates[i].bytes_per_s;
	}
}

static size_t list_kernel(struct node_interface list[static NODE_INTERFACES_MAX])
{
	struct ifaddrs *found = NULL;
	size_t count = 0;

	if (getifaddrs(&found) < 0)
		return 0;
	for (const struct ifaddrs *entry = found; entry && count < NODE_INTERFACES_MAX; entry = entry->ifa_next) {
		if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_PACKET)
			continue;
		struct node_interface *interface = &list[count++];
		*interface = (struct node_interface){.present = true, .up = entry->ifa_flags & IFF_UP};
		snprintf(interface->name, sizeof(interface->name), "%s", entry->ifa_name);
	}
	freeifaddrs(found);
	return count;
}

static struct node_interface *find_or_add(struct node_interface list[static NODE_INTERFACES_MAX], size_t *count,
					  const char *name)
{
	for (size_t i = 0; i < *count; i++) {
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	}
	if (*count == NODE_INTERFACES_MAX)
		return NULL;
	struct node_interface *interface = &list[(*count)++];
	*interface = (struct node_interface){0};
	snprintf(interface->name, sizeof(interface->name), "%.15s", name);
	return interface;
}

/* An interface may briefly have two rings, one of them closing: report the recorder's. */
static void add_ring(struct node_interface *interface, const struct engine_interface *ring)
{
	if (interface->ring && (interface->recorder || !ring->recorder))
		return;
	interface->ring = true;
	interface->recorder = ring->recorder;
	interface->captures = ring->consumers;
	interface->packets = ring->packets;
	interface->dropped = ring->dropped;
	interface->reach_ns = ring->reach_ns;
	interface->held_bytes = ring->held_bytes;
	interface->ring_bytes = ring->ring_bytes;
}

size_t node_interfaces_list(const struct node_interfaces *interfaces,
			    struct node_interface list[static NODE_INTERFACES_MAX])
{
	struct engine_interface rings[NODE_INTERFACES_MAX];
	size_t ring_count = engine_interfaces(interfaces->engine, rings, NODE_INTERFACES_MAX);
	size_t count = list_kernel(list);

	if (ring_count > NODE_INTERFACES_MAX)
		ring_count = NODE_INTERFACES_MAX;
	for (size_t i = 0; i < ring_count; i++) {
		struct node_interface *interface = find_or_add(list, &count, rings[i].name);

		if (interface)
			add_ring(interface, &rings[i]);
	}
	for (size_t i = 0; i < count; i++)
		add_configured(interfaces, &list[i]);
	return count;
}

struct node_interfaces *node_interfaces_new(const struct config *config, struct engine *engine)
{
	struct node_interfaces *interfaces = calloc(1, sizeof(*interfaces));

	if (!interfaces)
		return NULL;
	interfaces->config = config;
	interfaces->engine = engine;
	return interfaces;
}

void node_interfaces_free(struct node_interfaces *interfaces)
{
	free(interfaces);
}
