/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opening order matters. A packet socket with protocol 0 receives nothing, so ring and filter are in place before
 * the first packet can arrive; bind() with ETH_P_ALL then starts reception from exactly one interface. Promiscuous mode
 * is a membership of the socket and ends with it, however the process ends.
 */
#include "capture/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

#define RING_FRAME_SIZE 2048 /* only has to divide the block: V3 packs frames of any length */

uint32_t ring_netmask(const char *interface)
{
	cleanup(cleanup_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_addr.sa_family = AF_INET};
	struct sockaddr_in address;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (fd < 0 || ioctl(fd, SIOCGIFNETMASK, &request) < 0)
		return 0;
	memcpy(&address, &request.ifr_netmask, sizeof(address));
	return ntohl(address.sin_addr.s_addr);
}

static int allocate(struct ring *ring, const struct ring_options *options, struct error *err)
{
	uint32_t count = options->block_count;

	for (;; count /= 2) {
		struct tpacket_req3 request = {
			.tp_block_size = options->block_bytes,
			.tp_block_nr = count,
			.tp_frame_size = RING_FRAME_SIZE,
			.tp_frame_nr = options->block_bytes / RING_FRAME_SIZE * count,
			.tp_retire_blk_tov = options->retire_ms,
		};

		if (setsockopt(ring->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) == 0)
			break;
		if (errno != ENOMEM || count / 2 < RING_BLOCKS_MIN)
			return error_set(err, -errno, "interface %s: ring of %u blocks of %u KiB: %s",
					 options->interface->name, count, options->block_bytes >> 10, strerror(errno));
	}
	void *memory =
		mmap(NULL, (size_t)count * options->block_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (memory == MAP_FAILED)
		return error_set(err, -errno, "interface %s: mapping its ring: %s", options->interface->name,
				 strerror(errno));
	madvise(memory, (size_t)count * options->block_bytes, MADV_DONTDUMP);
	ring->memory = memory;
	ring->block_bytes = options->block_bytes;
	ring->block_count = count;
	return 0;
}

static int join_promiscuous(int fd, int ifindex)
{
	const struct packet_mreq member = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};

	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member, sizeof(member)) < 0 ? -errno : 0;
}

static int bind_to(int fd, int ifindex)
{
	const struct sockaddr_ll address = {.sll_family = AF_PACKET,
					    .sll_protocol = htons(ETH_P_ALL),
					    .sll_ifindex = ifindex};

	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

/* `type`: SOCK_RAW, or SOCK_DGRAM for packets without their link layer header. */
static int open_socket(int type, struct error *err)
{
	const int fd = socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_set(err, -errno, "packet socket: %s%s", strerror(errno),
				 errno == EPERM ? " (capturing needs root or CAP_NET_RAW)" : "");
	return fd;
}

int ring_may_open(struct error *err)
{
	cleanup(cleanup_close) const int fd = open_socket(SOCK_RAW, err);

	return fd < 0 ? fd : 0;
}

int ring_open(const struct ring_options *options, struct error *err, struct ring **result)
{
	const struct network_interface *interface = options->interface;
	cleanup(cleanup_ring) struct ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return error_set(err, -ENOMEM, "interface %s: out of memory", interface->name);
	memcpy(ring->name, interface->name, sizeof(ring->name));
	ring->ifindex = interface->index;
	ring->hardware = interface->hardware;
	ring->type = link_type_read(interface);
	/* CAN drivers give back what they have sent. */
	ring->loopback = interface->hardware == ARPHRD_LOOPBACK || interface->hardware == ARPHRD_CAN;
	ring->fd = open_socket(link_form_is_cooked(ring->type.form) ? SOCK_DGRAM : SOCK_RAW, err);
	if (ring->fd < 0)
		return ring->fd;
	int version = TPACKET_V3;
	if (setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return error_set(err, -errno, "TPACKET_V3: %s", strerror(errno));
	const uint64_t begin_ns = clock_boottime_ns();
	if (options->guard)
		options->guard->begin(options->guard->ctx);
	int r = allocate(ring, options, err);
	if (options->guard)
		options->guard->end(options->guard->ctx);
	if (r < 0)
		return r;
	log_debug(capture, "ring-mapped", log_str("interface", ring->name), log_uint("blocks", ring->block_count),
		  log_uint("block_bytes", ring->block_bytes), log_uint("retire_ms", options->retire_ms),
		  log_uint("linktype", ring->type.linktype), log_bool("promiscuous", options->promiscuous),
		  log_uint("took_ms", (clock_boottime_ns() - begin_ns) / NS_PER_MS));
	if (options->promiscuous && !ring->loopback) {
		r = join_promiscuous(ring->fd, ring->ifindex);
		if (r < 0)
			return error_set(err, r, "interface %s: promiscuous mode: %s", ring->name, strerror(-r));
	}
	*result = take(ring);
	return 0;
}

int ring_start(struct ring *ring, struct error *err)
{
	const int r = bind_to(ring->fd, ring->ifindex);

	if (r < 0)
		return error_set(err, r, "interface %s: %s", ring->name, strerror(-r));
	if (ring_check_interface(ring) != RING_INTERFACE_OK)
		return error_set(err, -ENODEV, "interface %s was replaced while the capture was starting", ring->name);
	return 0;
}

int ring_rebind(const struct ring *ring, const struct network_interface *interface, bool promiscuous)
{
	const int r = promiscuous && !ring->loopback ? join_promiscuous(ring->fd, interface->index) : 0;

	return r < 0 ? r : bind_to(ring->fd, interface->index);
}

void ring_close(struct ring *ring)
{
	if (!ring)
		return;
	if (ring->memory)
		munmap(ring->memory, (size_t)ring->block_count * ring->block_bytes);
	if (ring->fd >= 0)
		close(ring->fd);
	free(ring);
}

int ring_set_filter(struct ring *ring, const struct sock_fprog *program)
{
	if (program)
		return setsockopt(ring->fd, SOL_SOCKET, SO_ATTACH_FILTER, program, sizeof(*program)) < 0 ? -errno : 0;
	int unused = 0;
	if (setsockopt(ring->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

void ring_update_dropped(struct ring *ring)
{
	struct tpacket_stats_v3 stats;
	socklen_t size = sizeof(stats);

	if (getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
		ring->dropped += stats.tp_drops;
}

enum ring_interface ring_check_interface(const struct ring *ring)
{
	/* NETDEV_UNREGISTER sets the bound index to -1 (packet_notifier); 0 means not bound yet. An interface that is
	 * down only stops the socket until it is up again. The hardware type is that of the device now. */
	struct sockaddr_ll address = {0};
	socklen_t size = sizeof(address);

	if (getsockname(ring->fd, (struct sockaddr *)&address, &size) < 0 || !address.sll_ifindex)
		return RING_INTERFACE_OK;
	if (address.sll_ifindex < 0)
		return RING_INTERFACE_GONE;
	unsigned hardware = address.sll_hatype;
	if (!hardware) { /* also of a device that is being removed */
		struct network_interface interface;

		if (network_interface_read(ring->ifindex, &interface) < 0)
			return RING_INTERFACE_OK;
		hardware = interface.hardware;
	}
	return link_type_is_same(hardware, ring->hardware) ? RING_INTERFACE_OK : RING_INTERFACE_RETYPED;
}
