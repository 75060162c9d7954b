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
#include "base/packet.h"

#define RING_FRAME_SIZE 2048 /* only has to divide the block: V3 packs frames of any length */

/* The kernel's hardware types and their LINKTYPE_ values, where SOCK_RAW yields a header that tools understand. */
static const struct {
	unsigned short hardware;
	uint16_t linktype;
} linktypes[] = {
	{ARPHRD_ETHER, LINKTYPE_ETHERNET}, {ARPHRD_LOOPBACK, LINKTYPE_ETHERNET}, {ARPHRD_NONE, LINKTYPE_RAW},
	{ARPHRD_RAWIP, LINKTYPE_RAW},	   {ARPHRD_TUNNEL, LINKTYPE_RAW},	 {ARPHRD_TUNNEL6, LINKTYPE_RAW},
	{ARPHRD_SIT, LINKTYPE_RAW},
};

static int read_hardware(int fd, const char *interface, unsigned short *hardware, struct error *err)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return error_set(err, -errno, "interface %s: %s", interface,
				 errno == ENODEV ? "no such interface" : strerror(errno));
	*hardware = request.ifr_hwaddr.sa_family;
	return 0;
}

static int find_linktype(const char *interface, unsigned short hardware, uint16_t *linktype, struct error *err)
{
	for (size_t i = 0; i < sizeof(linktypes) / sizeof(*linktypes); i++) {
		if (linktypes[i].hardware == hardware) {
			*linktype = linktypes[i].linktype;
			return 0;
		}
	}
	return error_set(err, -EPFNOSUPPORT, "interface %s: hardware type %u is not supported", interface, hardware);
}

int ring_find_interface(const char *interface, int *ifindex)
{
	cleanup(cleanup_close) const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	/* if_nametoindex(3) does not tell why there is no socket. */
	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (strlen(interface) >= sizeof(request.ifr_name))
		return -ENODEV;
	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return -errno;
	*ifindex = request.ifr_ifindex;
	return 0;
}

int ring_probe(const char *interface, uint16_t *linktype, struct error *err)
{
	cleanup(cleanup_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_set(err, -errno, "interface %s: %s", interface, strerror(errno));
	unsigned short hardware = 0;
	int r = read_hardware(fd, interface, &hardware, err);
	return r < 0 ? r : find_linktype(interface, hardware, linktype, err);
}

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
					 options->interface, count, options->block_bytes >> 10, strerror(errno));
	}
	void *memory =
		mmap(NULL, (size_t)count * options->block_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (memory == MAP_FAILED)
		return error_set(err, -errno, "interface %s: mapping its ring: %s", options->interface,
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

static int open_socket(struct error *err)
{
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_set(err, -errno, "packet socket: %s%s", strerror(errno),
				 errno == EPERM ? " (capturing needs root or CAP_NET_RAW)" : "");
	return fd;
}

int ring_may_open(struct error *err)
{
	cleanup(cleanup_close) const int fd = open_socket(err);

	return fd < 0 ? fd : 0;
}

int ring_open(const struct ring_options *options, struct error *err, struct ring **result)
{
	cleanup(cleanup_ring) struct ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return error_set(err, -ENOMEM, "interface %s: out of memory", options->interface);
	ring->fd = open_socket(err);
	if (ring->fd < 0)
		return ring->fd;
	snprintf(ring->name, sizeof(ring->name), "%s", options->interface);
	int r = ring_find_interface(options->interface, &ring->ifindex);
	if (r < 0)
		return error_set(err, r, "interface %s: %s", options->interface,
				 r == -ENODEV ? "no such interface" : strerror(-r));
	unsigned short hardware = 0;
	r = read_hardware(ring->fd, options->interface, &hardware, err);
	if (r < 0)
		return r;
	r = find_linktype(options->interface, hardware, &ring->linktype, err);
	if (r < 0)
		return r;
	ring->loopback = hardware == ARPHRD_LOOPBACK;
	int version = TPACKET_V3;
	if (setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return error_set(err, -errno, "TPACKET_V3: %s", strerror(errno));
	const uint64_t begin_ns = clock_boottime_ns();
	if (options->guard)
		options->guard->begin(options->guard->ctx);
	r = allocate(ring, options, err);
	if (options->guard)
		options->guard->end(options->guard->ctx);
	if (r < 0)
		return r;
	log_debug(capture, "ring-mapped", log_str("interface", ring->name), log_uint("blocks", ring->block_count),
		  log_uint("block_bytes", ring->block_bytes), log_uint("retire_ms", options->retire_ms),
		  log_uint("linktype", ring->linktype), log_bool("promiscuous", options->promiscuous),
		  log_uint("took_ms", (clock_boottime_ns() - begin_ns) / NS_PER_MS));
	if (options->promiscuous && !ring->loopback) {
		r = join_promiscuous(ring->fd, ring->ifindex);
		if (r < 0)
			return error_set(err, r, "interface %s: promiscuous mode: %s", options->interface,
					 strerror(-r));
	}
	*result = take(ring);
	return 0;
}

int ring_start(struct ring *ring, struct error *err)
{
	const int r = bind_to(ring->fd, ring->ifindex);

	return r < 0 ? error_set(err, r, "interface %s: %s", ring->name, strerror(-r)) : 0;
}

int ring_rebind(const struct ring *ring, const char *interface, bool promiscuous, int *ifindex)
{
	uint16_t linktype;
	struct error error;

	int r = ring_find_interface(interface, ifindex);
	if (r == 0)
		r = ring_probe(interface, &linktype, &error);
	if (r < 0 || linktype != ring->linktype)
		return r < 0 ? r : -EPFNOSUPPORT;
	if (promiscuous && !ring->loopback)
		r = join_promiscuous(ring->fd, *ifindex);
	return r < 0 ? r : bind_to(ring->fd, *ifindex);
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

bool ring_interface_gone(const struct ring *ring)
{
	/* NETDEV_UNREGISTER sets the bound index to -1 (packet_notifier); 0 means not bound yet. An interface that is
	 * down only stops the socket until it is up again. */
	struct sockaddr_ll address;
	socklen_t size = sizeof(address);
	return getsockname(ring->fd, (struct sockaddr *)&address, &size) == 0 && address.sll_ifindex < 0;
}
