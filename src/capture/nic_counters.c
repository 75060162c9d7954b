/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink has the counters that all interfaces share. What single receive queues dropped is known to ethtool, under
 * names of the driver's own ("rx_queue_0_drops", "rx3_dropped", "rx-1.alloc_no_buf"): those that mean a loss and have a
 * queue's number are added up.
 */
#include "capture/nic_counters.h"

#include <ctype.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define LINK_HAS_CARRIER 0x10000 /* IFF_LOWER_UP of linux/if.h, which net/if.h excludes */
#define REPLY_BYTES (32u << 10)	 /* without virtual functions an interface takes 2 KiB */
/* The kernel ignores the size it is given and writes every counter that the driver has now: there must be room. */
#define ETHTOOL_COUNTERS_MAX 16384

/* --- rtnetlink --- */

bool nic_counters_parse(const void *reply, size_t size, struct nic_counters *counters, char name[static 16])
{
	const struct nlmsghdr *header = reply;
	struct ifinfomsg link;
	bool found = false;

	if (size < NLMSG_LENGTH(sizeof(struct ifinfomsg)) || header->nlmsg_len > size ||
	    header->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)) || header->nlmsg_type != RTM_NEWLINK)
		return false;
	memcpy(&link, (const uint8_t *)reply + NLMSG_LENGTH(0), sizeof(link));
	const bool loopback = link.ifi_flags & IFF_LOOPBACK;
	counters->up = link.ifi_flags & IFF_UP;
	counters->carrier = link.ifi_flags & LINK_HAS_CARRIER;
	const uint8_t *at = (const uint8_t *)reply + NLMSG_LENGTH(sizeof(struct ifinfomsg));
	size_t left = header->nlmsg_len - NLMSG_LENGTH(sizeof(struct ifinfomsg));
	while (left >= sizeof(struct rtattr)) {
		struct rtattr attribute;

		memcpy(&attribute, at, sizeof(attribute));
		if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > left)
			return false;
		const uint8_t *data = at + RTA_LENGTH(0);
		const size_t data_size = attribute.rta_len - RTA_LENGTH(0);
		const size_t step = RTA_ALIGN(attribute.rta_len);
		struct rtnl_link_stats64 stats = {0};
		/* The kernel's struct grows at its end. */
		if (attribute.rta_type == IFLA_STATS64 &&
		    data_size > offsetof(struct rtnl_link_stats64, rx_missed_errors)) {
			memcpy(&stats, data, data_size < sizeof(stats) ? data_size : sizeof(stats));
			counters->packets = stats.rx_packets + (loopback ? 0 : stats.tx_packets);
			counters->rx_dropped = stats.rx_dropped;
			counters->rx_missed_errors = stats.rx_missed_errors;
			found = true;
		} else if (attribute.rta_type == IFLA_IFNAME) {
			snprintf(name, 16, "%.*s", (int)data_size, (const char *)data);
		}
		at += step;
		left -= step < left ? step : left;
	}
	return found;
}

static bool read_link(int ifindex, struct nic_counters *counters, char name[static 16])
{
	cleanup(cleanup_close) const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	cleanup(cleanup_free) uint8_t *reply = malloc(REPLY_BYTES);
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {
		.header = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
		.link = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex},
	};

	if (fd < 0 || !reply || send(fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
		return false;
	const ssize_t size = recv(fd, reply, REPLY_BYTES, MSG_DONTWAIT); /* send() has already made the reply */
	return size > 0 && nic_counters_parse(reply, (size_t)size, counters, name);
}

/* --- ethtool --- */

bool nic_counter_is_queue_drop(const char *name)
{
	static const char *const losses[] = {"drop", "miss", "no_buf"};
	bool loss = false, numbered = false;

	for (size_t i = 0; i < sizeof(losses) / sizeof(*losses); i++)
		loss |= strcasestr(name, losses[i]) != NULL;
	for (const char *at = name; *at; at++)
		numbered |= isdigit((unsigned char)*at) != 0;
	/* What an XDP program drops it means to drop. */
	return loss && numbered && !strcasestr(name, "tx") && !strcasestr(name, "xdp");
}

static bool ask(int fd, const char *interface, void *command)
{
	struct ifreq request = {.ifr_data = command};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

static uint32_t count_ethtool(int fd, const char *interface)
{
	_Alignas(struct ethtool_sset_info) uint8_t query[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)] = {0};
	struct ethtool_sset_info *info = (void *)query;

	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = UINT64_C(1) << ETH_SS_STATS;
	if (!ask(fd, interface, info) || !info->sset_mask || info->data[0] > ETHTOOL_COUNTERS_MAX)
		return 0;
	return info->data[0];
}

static uint64_t read_queue_drops(const char *interface)
{
	cleanup(cleanup_close) const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const uint32_t count = fd < 0 ? 0 : count_ethtool(fd, interface);
	uint64_t sum = 0;

	if (!count)
		return 0;
	cleanup(cleanup_free) struct ethtool_gstrings *names =
		calloc(1, sizeof(*names) + (size_t)ETHTOOL_COUNTERS_MAX * ETH_GSTRING_LEN);
	cleanup(cleanup_free) struct ethtool_stats *values =
		calloc(1, sizeof(*values) + ETHTOOL_COUNTERS_MAX * sizeof(uint64_t));
	if (!names || !values)
		return 0;
	*names = (struct ethtool_gstrings){.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = count};
	*values = (struct ethtool_stats){.cmd = ETHTOOL_GSTATS, .n_stats = count};
	if (!ask(fd, interface, names) || names->len != count || !ask(fd, interface, values) ||
	    values->n_stats != count)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		char name[ETH_GSTRING_LEN + 1] = "";

		memcpy(name, names->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
		if (nic_counter_is_queue_drop(name))
			sum += values->data[i];
	}
	return sum;
}

void nic_counters_read(int ifindex, struct nic_counters *counters)
{
	char name[16] = "";

	*counters = (struct nic_counters){0};
	counters->known = read_link(ifindex, counters, name);
	if (counters->known && *name)
		counters->queue_drops = read_queue_drops(name);
}

static uint64_t growth(uint64_t begin, uint64_t end)
{
	return end > begin ? end - begin : 0;
}

struct nic_counters nic_counters_since(const struct nic_counters *begin, const struct nic_counters *end)
{
	if (!begin->known || !end->known)
		return (struct nic_counters){0};
	return (struct nic_counters){
		.known = true,
		.up = end->up,
		.carrier = end->carrier,
		.packets = growth(begin->packets, end->packets),
		.rx_dropped = growth(begin->rx_dropped, end->rx_dropped),
		.rx_missed_errors = growth(begin->rx_missed_errors, end->rx_missed_errors),
		.queue_drops = growth(begin->queue_drops, end->queue_drops),
	};
}
