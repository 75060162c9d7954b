/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joins lists by name: the link table, the kernel's counters, the engine's open rings, and the configuration's aliases.
 * All are listed whole; what a caller has no room for is cut at the end. The counters come from /proc, because
 * rtnetlink and getifaddrs(3) wait for the kernel's RTNL lock.
 */
#include "status/node_interfaces.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/link_table.h"
#include "base/network_interface.h"
#include "capture/engine.h"
#include "config/config.h"

/* The name is the first member of all that is looked up by it. */
struct counters {
	char name[16];
	uint64_t packets, bytes;
};

struct rate {
	char name[16];
	double packets_per_s, bytes_per_s;
};

struct sample {
	struct counters *counters; /* by name */
	size_t count;
	uint64_t time_ns; /* boot time; 0: none */
};

struct node_interfaces {
	const struct config *config;
	struct engine *engine;
	struct sample last;
	struct rate *rates; /* by name */
	size_t rate_count;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* "  eth0: 1500 10 0 0 0 0 0 0 900 9 …": bytes and packets received, six other counters, the same for sent ones. */
static bool read_counters(char *line, struct counters *counters)
{
	unsigned long long rx_bytes, rx_packets, tx_bytes, tx_packets;
	char *end = strrchr(line, ':');

	if (!end || sscanf(end + 1, "%llu %llu %*u %*u %*u %*u %*u %*u %llu %llu", &rx_bytes, &rx_packets, &tx_bytes,
			   &tx_packets) != 4)
		return false;
	*end = '\0';
	line += strspn(line, " ");
	snprintf(counters->name, sizeof(counters->name), "%s", line);
	counters->packets = rx_packets + tx_packets;
	counters->bytes = rx_bytes + tx_bytes;
	return true;
}

static void take_sample(struct sample *sample)
{
	cleanup(cleanup_fclose) FILE *file = fopen("/proc/self/net/dev", "re");
	char line[512];
	size_t room = 0;
	*sample = (struct sample){.time_ns = clock_boottime_ns()};
	while (file && fgets(line, sizeof(line), file)) {
		struct counters read;
		if (!read_counters(line, &read))
			continue;
		if (sample->count == room) {
			room = room ? 2 * room : 64;
			struct counters *counters = reallocarray(sample->counters, room, sizeof(*counters));
			if (!counters)
				break;
			sample->counters = counters;
		}
		sample->counters[sample->count++] = read;
	}
	if (sample->count)
		qsort(sample->counters, sample->count, sizeof(*sample->counters), compare_names);
}

/* bsearch(3) must not be given NULL. */
static const void *find(const char *name, const void *list, size_t count, size_t size)
{
	return count ? bsearch(name, list, count, size, compare_names) : NULL;
}

void node_interfaces_sample(struct node_interfaces *interfaces)
{
	struct sample now;
	take_sample(&now);
	const struct sample *last = &interfaces->last;
	const double seconds = (double)(now.time_ns - last->time_ns) / NS_PER_S;
	free(interfaces->rates);
	interfaces->rates = calloc(now.count + 1, sizeof(*interfaces->rates));
	interfaces->rate_count = 0;
	for (size_t i = 0; interfaces->rates && i < now.count && last->time_ns && seconds > 0; i++) {
		const struct counters *after = &now.counters[i];
		const struct counters *before = find(after->name, last->counters, last->count, sizeof(*before));
		struct rate *rate = &interfaces->rates[interfaces->rate_count];
		if (!before || after->packets < before->packets || after->bytes < before->bytes)
			continue; /* a new interface of this name */
		memcpy(rate->name, after->name, sizeof(rate->name));
		rate->packets_per_s = (double)(after->packets - before->packets) / seconds;
		rate->bytes_per_s = (double)(after->bytes - before->bytes) / seconds;
		interfaces->rate_count++;
	}
	free(interfaces->last.counters);
	interfaces->last = now;
}

/* An interface of the configuration, under the name that its device has now. */
struct configured {
	char name[NETWORK_INTERFACE_ANY_NAME_MAX + 1];
	const struct config_strings *aliases;
};

/* Those that have aliases. NULL on ENOMEM. */
static struct configured *list_configured(const struct config *config, size_t *count)
{
	struct configured *list = calloc(config->interface_count + 1, sizeof(*list));

	*count = 0;
	for (size_t i = 0; list && i < config->interface_count; i++) {
		const struct config_interface *from = &config->interfaces[i];
		struct network_interface device;
		const bool found = from->alias.count && network_interface_find(from->name, &device) == 0;

		if (!from->alias.count)
			continue;
		snprintf(list[*count].name, sizeof(list->name), "%s", found ? device.name : from->name);
		list[(*count)++].aliases = &from->alias;
	}
	return list;
}

static void add_configured(const struct node_interfaces *interfaces, const struct configured *configured, size_t count,
			   struct node_interface *interface)
{
	const struct rate *rate =
		find(interface->name, interfaces->rates, interfaces->rate_count, sizeof(*interfaces->rates));
	for (size_t i = 0; i < count; i++) {
		if (strcmp(configured[i].name, interface->name) == 0)
			interface->aliases = configured[i].aliases;
	}
	interface->packets_per_s = rate ? rate->packets_per_s : 0;
	interface->bytes_per_s = rate ? rate->bytes_per_s : 0;
}

/* An interface may have several rings, one of them closing, or one with the history of an earlier device of this name:
 * report the recorder's that goes on. */
static void add_ring(struct node_interface *interface, const struct engine_interface *ring)
{
	const bool better = ring->recorder && (!interface->recorder || !ring->gone);
	if (interface->ring && !better)
		return;
	interface->ring = true;
	interface->recorder = ring->recorder;
	interface->captures = ring->consumers;
	interface->packets = ring->packets;
	interface->dropped = ring->dropped;
	interface->reach_ns = ring->reach_ns;
	interface->held_bytes = ring->held_bytes;
	interface->ring_bytes = ring->ring_bytes;
	interface->asked_bytes = ring->asked_bytes;
}

static int compare_rings(const void *a, const void *b)
{
	const struct engine_interface *left = a, *right = b;
	return strcmp(left->name, right->name);
}

/* All open rings by name. NULL on ENOMEM. */
static struct engine_interface *list_rings(struct engine *engine, size_t *count)
{
	struct engine_interface *rings = NULL;
	size_t room = 0;
	/* More may have been opened between counting and listing. */
	while ((*count = engine_interfaces(engine, rings, room)) > room || !rings) {
		room = *count + 16;
		free(rings);
		rings = calloc(room, sizeof(*rings));
		if (!rings)
			return NULL;
	}
	qsort(rings, *count, sizeof(*rings), compare_rings);
	return rings;
}

static void add_links(struct node_interface_list *list, const struct link_entry *links, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct node_interface *interface = &list->items[list->total++];
		interface->present = true;
		interface->up = links[i].up;
		memcpy(interface->name, links[i].name, sizeof(links[i].name));
	}
}

/* The first of this name, or where it would stand. */
static size_t find_ring(const struct engine_interface *rings, size_t count, const char *name)
{
	size_t low = 0;
	while (low < count) {
		const size_t middle = low + (count - low) / 2;
		if (strcmp(rings[middle].name, name) < 0)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

/* Adds the rings to their interfaces; those of interfaces that are gone come last. `known`: room for a mark a ring. */
static void add_rings(struct node_interface_list *list, const struct engine_interface *rings, size_t count, bool *known)
{
	for (size_t i = 0; i < list->total; i++) {
		struct node_interface *interface = &list->items[i];
		for (size_t k = find_ring(rings, count, interface->name);
		     k < count && strcmp(rings[k].name, interface->name) == 0; k++) {
			known[k] = true;
			add_ring(interface, &rings[k]);
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (known[i])
			continue;
		if (i == 0 || known[i - 1] || strcmp(rings[i - 1].name, rings[i].name) != 0)
			memcpy(list->items[list->total++].name, rings[i].name, sizeof(rings[i].name));
		add_ring(&list->items[list->total - 1], &rings[i]);
	}
}

/* Recorders whose interface is not there: they have a row of their own, unless the ring of one that was there has one.
 */
static void add_waiting(struct node_interface_list *list)
{
	for (size_t i = 0; i < list->recorder_count; i++) {
		const struct node_recorder *recorder = &list->recorders[i];
		size_t k = 0;

		if (!recorder->away)
			continue;
		while (k < list->total && strcmp(list->items[k].name, recorder->setting) != 0)
			k++;
		struct node_interface *row = &list->items[k];
		list->total += k == list->total;
		snprintf(row->name, sizeof(row->name), "%s", recorder->setting);
		row->waiting = true;
	}
}

/* Recorders come first, then what has captures, each by name. */
static int compare_importance(const void *a, const void *b)
{
	const struct node_interface *left = a, *right = b;
	const bool left_records = left->recorder || left->waiting, right_records = right->recorder || right->waiting;
	if (left_records != right_records)
		return left_records ? -1 : 1;
	if (!left->captures != !right->captures)
		return left->captures ? -1 : 1;
	return strcmp(left->name, right->name);
}

int node_interfaces_list(const struct node_interfaces *interfaces, size_t limit, struct node_interface_list *list)
{
	cleanup(cleanup_free) struct link_entry *links = NULL;
	size_t ring_count = 0, link_count = 0;
	*list = (struct node_interface_list){0};
	const int r = link_table_list(&links, &link_count);
	if (r < 0)
		return r;
	cleanup(cleanup_free) struct engine_interface *rings = list_rings(interfaces->engine, &ring_count);
	cleanup(cleanup_free) bool *known = calloc(ring_count + 1, sizeof(*known));
	list->recorders = rings ? node_recorders_list(interfaces->config, rings, ring_count) : NULL;
	list->recorder_count = list->recorders ? interfaces->config->history.interfaces.count : 0;
	if (list->recorders && known)
		list->items = calloc(link_count + ring_count + list->recorder_count + 1, sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	add_links(list, links, link_count);
	add_rings(list, rings, ring_count, known);
	add_waiting(list);
	list->count = list->total;
	if (list->total > limit) {
		qsort(list->items, list->total, sizeof(*list->items), compare_importance);
		list->count = limit;
	}
	size_t configured_count = 0;
	cleanup(cleanup_free) struct configured *configured = list_configured(interfaces->config, &configured_count);
	for (size_t i = 0; i < list->count; i++)
		add_configured(interfaces, configured, configured_count, &list->items[i]);
	return 0;
}

void node_interface_list_deinit(struct node_interface_list *list)
{
	free(list->items);
	free(list->recorders);
	*list = (struct node_interface_list){0};
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
	if (!interfaces)
		return;
	free(interfaces->last.counters);
	free(interfaces->rates);
	free(interfaces);
}
