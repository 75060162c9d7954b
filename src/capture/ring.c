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
#include "base/quantity.h"
#include "capture/ring_room.h"

#define RING_FRAME_SIZE 2048	     /* only has to divide the block: V3 packs frames of any length */
#define GUARDED_RING_BYTES (8 * MIB) /* a smaller ring is allocated in a few ms */
#define PARTS_MAX 32

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

/* `type`: SOCK_RAW, or SOCK_DGRAM for packets without their link layer header. */
static int open_socket(int type, struct error *err)
{
	const int fd = socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_set(err, -errno, "packet socket: %s%s", strerror(errno),
				 errno == EPERM ? " (capturing needs root or CAP_NET_RAW)" : "");
	return fd;
}

static int set_version(int fd)
{
	const int version = TPACKET_V3;

	return setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ? -errno : 0;
}

/* --- allocating --- */

static size_t size_of(struct ring_blocks blocks)
{
	return (size_t)blocks.bytes * blocks.count;
}

static int set_ring(int fd, struct ring_blocks blocks, uint32_t retire_ms)
{
	const struct tpacket_req3 request = {
		.tp_block_size = blocks.bytes,
		.tp_block_nr = blocks.count,
		.tp_frame_size = RING_FRAME_SIZE,
		.tp_frame_nr = blocks.bytes / RING_FRAME_SIZE * blocks.count,
		.tp_retire_blk_tov = retire_ms,
	};

	return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0 ? -errno : 0;
}

static void begin_allocation(const struct ring_options *options, size_t bytes)
{
	if (bytes >= GUARDED_RING_BYTES)
		options->allocation->begin(options->allocation->ctx);
}

static void end_allocation(const struct ring_options *options, size_t bytes)
{
	if (bytes >= GUARDED_RING_BYTES)
		options->allocation->end(options->allocation->ctx);
}

/* Holds a part of a ring, in a socket of its own. Returns its bytes, as many as were taken; 0: none. */
static size_t hold_part(const struct ring_options *options, size_t wanted, int *fd, struct error *why)
{
	const struct ring_claim claim = {.least_bytes = options->least_bytes, .wanted_bytes = wanted};
	struct ring_room *room = options->allocation->room;
	size_t taken = 0;

	*fd = open_socket(SOCK_RAW, why);
	if (*fd < 0 || ring_room_take(room, &claim, &taken, why) < 0)
		return 0;
	begin_allocation(options, taken);
	int r = set_version(*fd);
	if (r == 0)
		r = set_ring(*fd, options->blocks(taken), options->retire_ms);
	end_allocation(options, taken);
	ring_room_settle(room, taken, r == 0 ? taken : 0);
	if (r < 0)
		error_set(why, r, "the kernel has no more: %s", strerror(-r));
	return r == 0 ? taken : 0;
}

/*
 * The kernel allocates a ring in one go, and ends processes before it refuses. So the memory for a large ring is first
 * held in parts, with a look at what is left before each. Returns what they came to, and why if that is less than
 * wanted. All are closed again: the ring takes their memory.
 */
static size_t try_in_parts(const struct ring_options *options, size_t wanted, struct error *why)
{
	struct ring_room *room = options->allocation->room;
	const size_t parts = wanted / ring_room_step(room) + 1;
	size_t held = 0, sizes[PARTS_MAX];
	int fds[PARTS_MAX];
	unsigned count = 0;

	why->text[0] = '\0';
	for (size_t left = parts < PARTS_MAX ? parts : PARTS_MAX; left > 0 && !why->text[0]; left--, count++) {
		sizes[count] = hold_part(options, (wanted - held) / left, &fds[count], why);
		held += sizes[count];
	}
	log_debug(capture, "ring-tried", log_str("interface", options->interface->name), log_uint("bytes", held),
		  log_uint("wanted", wanted), log_uint("parts", count));
	while (count-- > 0) {
		cleanup_close(&fds[count]);
		ring_room_give_back(room, sizes[count]);
	}
	return held;
}

/* Allocates and maps what was taken. -ENOMEM, without `err`: the kernel has not that much. */
static int make_ring(struct ring *ring, const struct ring_options *options, size_t taken, struct error *err)
{
	const struct ring_blocks blocks = options->blocks(taken);
	void *memory = MAP_FAILED;

	begin_allocation(options, taken);
	const int r = set_ring(ring->fd, blocks, options->retire_ms);
	if (r == 0)
		memory = mmap(NULL, size_of(blocks), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	const int mapping = memory == MAP_FAILED ? -errno : 0;
	end_allocation(options, taken);
	ring_room_settle(ring->room, taken, r == 0 ? size_of(blocks) : 0);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return error_set(err, r, "interface %s: ring of %u blocks of %u KiB: %s", ring->name, blocks.count,
				 blocks.bytes >> 10, strerror(-r));
	ring->block_bytes = blocks.bytes;
	ring->block_count = blocks.count;
	if (mapping < 0)
		return error_set(err, mapping, "interface %s: mapping its ring: %s", ring->name, strerror(-mapping));
	madvise(memory, size_of(blocks), MADV_DONTDUMP);
	ring->memory = memory;
	return 0;
}

static void note_shortage(struct ring *ring, const char *text)
{
	if (*text)
		snprintf(ring->shortage, sizeof(ring->shortage), "%.*s", RING_SHORTAGE_SIZE - 1, text);
}

static int refuse(struct ring *ring, int code, const char *reason, struct error *err)
{
	if (code != -ENOMEM)
		return error_set(err, code, "interface %s: %s", ring->name, reason);
	atomic_fetch_add_explicit(&ring->room->refused, 1, memory_order_relaxed);
	return error_set(err, code, "interface %s: no memory for its ring: %s", ring->name, reason);
}

static int allocate(struct ring *ring, const struct ring_options *options, struct error *err)
{
	struct ring_claim claim = {options->least_bytes, options->bytes, options->claims};
	struct error why;
	size_t taken = 0;
	bool tried = false;
	int r;

	for (;;) {
		r = ring_room_take(ring->room, &claim, &taken, &why);
		if (r < 0)
			return refuse(ring, r, why.text, err);
		note_shortage(ring, why.text);
		if (taken > ring_room_step(ring->room) && !tried) {
			tried = true;
			ring_room_settle(ring->room, taken, 0);
			taken = try_in_parts(options, taken, &why);
			note_shortage(ring, why.text);
			claim = (struct ring_claim){claim.least_bytes,
						    taken > claim.least_bytes ? taken : claim.least_bytes, 0};
			continue;
		}
		r = make_ring(ring, options, taken, err);
		if (r != -ENOMEM || ring->block_count)
			break;
		if (taken / 2 < claim.least_bytes)
			return refuse(ring, r, strerror(ENOMEM), err);
		note_shortage(ring, "the kernel has no more");
		claim = (struct ring_claim){claim.least_bytes, taken / 2, 0};
	}
	if (r == 0 && *ring->shortage)
		atomic_fetch_add_explicit(&ring->room->shrunk, 1, memory_order_relaxed);
	return r;
}

/* --- opening and closing --- */

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
	ring->room = options->allocation->room;
	ring->asked_bytes = options->bytes;
	ring->ifindex = interface->index;
	ring->hardware = interface->hardware;
	ring->type = link_type_read(interface);
	/* CAN drivers give back what they have sent. */
	ring->loopback = interface->hardware == ARPHRD_LOOPBACK || interface->hardware == ARPHRD_CAN;
	ring->fd = open_socket(link_form_is_cooked(ring->type.form) ? SOCK_DGRAM : SOCK_RAW, err);
	if (ring->fd < 0)
		return ring->fd;
	int r = set_version(ring->fd);
	if (r < 0)
		return error_set(err, r, "TPACKET_V3: %s", strerror(-r));
	const uint64_t begin_ns = clock_boottime_ns();
	r = allocate(ring, options, err);
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
		munmap(ring->memory, ring_bytes(ring));
	if (ring->fd >= 0)
		close(ring->fd);
	ring_room_give_back(ring->room, ring_bytes(ring));
	free(ring);
}

size_t ring_bytes(const struct ring *ring)
{
	return (size_t)ring->block_bytes * ring->block_count;
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
