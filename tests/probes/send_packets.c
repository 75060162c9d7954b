/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends numbered UDP/IPv4 frames on one interface through a packet socket, at a given rate or as fast as possible, and
 * prints the totals as one JSON line. The payload begins with a magic word and an eight-byte big-endian sequence number
 * (at frame offsets 42 and 50; four bytes later with --vlan), so that a reader can find lost, duplicate and reordered
 * packets. For tests and benchmarks on dedicated interfaces.
 *
 * Limits: IPv4 and UDP only, no UDP checksum, pacing in bursts of one millisecond. A frame counts as sent when the
 * kernel accepts it; drops in the receiver's backlog show only in that interface's counters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST_MAX 64
#define FRAME_MAX 65535
#define RING_FRAMES 512
#define NS_PER_S UINT64_C(1000000000)

enum { ETHERNET_SIZE = 14, VLAN_SIZE = 4, IPV4_SIZE = 20, UDP_SIZE = 8, NUMBER_SIZE = 16 };

static const uint8_t magic[8] = {'p', 'c', 'a', 'p', 'd', 's', 'e', 'q'};

struct range {
	uint16_t low, high;
};

struct options {
	const char *interface;
	uint64_t count; /* 0: until --seconds or a signal */
	double rate;	/* packets/s; 0: unlimited */
	double seconds; /* 0: no limit */
	size_t size;	/* bytes of the frame, VLAN header included */
	uint64_t first;
	int vlan; /* -1: none */
	struct range src_port, dst_port;
	uint32_t src_ip, dst_ip; /* network order */
	uint8_t dst_mac[6], src_mac[6];
	bool ring;   /* PACKET_TX_RING instead of sendmmsg */
	bool bypass; /* PACKET_QDISC_BYPASS */
};

/* State of both methods. A frame is the template with its own number and ports. */
struct sender {
	struct options options;
	int fd;
	uint8_t template[FRAME_MAX];
	size_t udp_offset;
	uint64_t next; /* index of the next frame, from 0 */
	uint64_t sent, errors;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "send_packets: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void usage(const char *fault)
{
	fprintf(stderr,
		"send_packets: %s\n"
		"usage: send_packets --interface IF [--count N] [--seconds S] [--rate PPS] [--size BYTES] [--first K]\n"
		"                    [--payload numbered] [--vlan ID] [--src-port A[-B]] [--dst-port A[-B]]\n"
		"                    [--src-ip IP] [--dst-ip IP] [--src-mac MAC] [--dst-mac MAC]\n"
		"                    [--method mmsg|ring] [--bypass]\n",
		fault);
	exit(2);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static uint64_t number(const char *text, uint64_t low, uint64_t high)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < low || value > high)
		usage(text);
	return value;
}

static double decimal(const char *text)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno || end == text || *end || !(value >= 0 && value <= 1e12))
		usage(text);
	return value;
}

static struct range port_range(const char *text)
{
	unsigned low, high;
	char junk;
	int fields = sscanf(text, "%u-%u%c", &low, &high, &junk);

	if (fields == 1)
		high = low;
	if (fields < 1 || fields > 2 || low > high || high > UINT16_MAX)
		usage(text);
	return (struct range){.low = (uint16_t)low, .high = (uint16_t)high};
}

static void mac_address(const char *text, uint8_t mac[6])
{
	unsigned bytes[6];
	char junk;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5],
		   &junk) != 6)
		usage(text);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)bytes[i];
}

static uint32_t ip_address(const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		usage(text);
	return address.s_addr;
}

static void parse_method(const char *text, struct options *options)
{
	if (strcmp(text, "ring") != 0 && strcmp(text, "mmsg") != 0)
		usage(text);
	options->ring = strcmp(text, "ring") == 0;
}

static struct options parse(int argc, char **argv)
{
	static const struct option known[] = {
		{"interface", required_argument, NULL, 'i'},
		{"count", required_argument, NULL, 'c'},
		{"rate", required_argument, NULL, 'r'},
		{"size", required_argument, NULL, 's'},
		{"first", required_argument, NULL, 'f'},
		{"payload", required_argument, NULL, 'p'},
		{"vlan", required_argument, NULL, 'v'},
		{"src-port", required_argument, NULL, 'S'},
		{"dst-port", required_argument, NULL, 'D'},
		{"src-ip", required_argument, NULL, 'a'},
		{"dst-ip", required_argument, NULL, 'b'},
		{"src-mac", required_argument, NULL, 'm'},
		{"dst-mac", required_argument, NULL, 'n'},
		{"seconds", required_argument, NULL, 't'},
		{"method", required_argument, NULL, 'M'},
		{"bypass", no_argument, NULL, 'B'},
		{NULL, 0, NULL, 0},
	};
	/* Test addresses of RFC 2544 that no host has: the receiving stack drops the frame. */
	struct options options = {
		.size = 64,
		.vlan = -1,
		.src_port = {20000, 20000},
		.dst_port = {9, 9},
		.src_ip = ip_address("198.18.0.1"),
		.dst_ip = ip_address("198.18.0.2"),
		.src_mac = {2, 0, 0, 0, 0, 1},
		.dst_mac = {2, 0, 0, 0, 0, 2},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (letter) {
		case 'i':
			options.interface = optarg;
			break;
		case 'c':
			options.count = number(optarg, 0, UINT64_MAX);
			break;
		case 'r':
			options.rate = decimal(optarg);
			break;
		case 's':
			options.size = number(optarg, 1, FRAME_MAX);
			break;
		case 'f':
			options.first = number(optarg, 0, UINT64_MAX);
			break;
		case 'p':
			if (strcmp(optarg, "numbered") != 0)
				usage("the only payload is numbered");
			break;
		case 'v':
			options.vlan = (int)number(optarg, 0, 4095);
			break;
		case 'S':
			options.src_port = port_range(optarg);
			break;
		case 'D':
			options.dst_port = port_range(optarg);
			break;
		case 'a':
			options.src_ip = ip_address(optarg);
			break;
		case 'b':
			options.dst_ip = ip_address(optarg);
			break;
		case 'm':
			mac_address(optarg, options.src_mac);
			break;
		case 'n':
			mac_address(optarg, options.dst_mac);
			break;
		case 't':
			options.seconds = decimal(optarg);
			break;
		case 'M':
			parse_method(optarg, &options);
			break;
		case 'B':
			options.bypass = true;
			break;
		default:
			usage("unknown option");
		}
	}
	if (!options.interface || optind != argc)
		usage("--interface is required; other arguments are not allowed");
	if (options.count == 0 && options.seconds == 0)
		usage("--count or --seconds is required");
	if (options.size <
	    (size_t)(ETHERNET_SIZE + IPV4_SIZE + UDP_SIZE + NUMBER_SIZE + (options.vlan >= 0 ? VLAN_SIZE : 0)))
		usage("--size is too small for the sequence number");
	return options;
}

static void put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static void put64(uint8_t *to, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		to[i] = (uint8_t)value;
}

static unsigned ipv4_checksum(const uint8_t *header)
{
	unsigned sum = 0;

	for (int i = 0; i < IPV4_SIZE; i += 2)
		sum += (unsigned)header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static void build_template(struct sender *sender)
{
	const struct options *options = &sender->options;
	uint8_t *frame = sender->template, *ip = frame + ETHERNET_SIZE;
	size_t ip_total;

	memcpy(frame, options->dst_mac, 6);
	memcpy(frame + 6, options->src_mac, 6);
	if (options->vlan >= 0) {
		put16(frame + 12, ETH_P_8021Q);
		put16(frame + 14, (unsigned)options->vlan);
		ip += VLAN_SIZE;
	}
	put16(ip - 2, ETH_P_IP);
	ip_total = options->size - (size_t)(ip - frame);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)ip_total);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, &options->src_ip, 4);
	memcpy(ip + 16, &options->dst_ip, 4);
	put16(ip + 10, ipv4_checksum(ip));
	sender->udp_offset = (size_t)(ip - frame) + IPV4_SIZE;
	put16(ip + IPV4_SIZE + 4, (unsigned)(ip_total - IPV4_SIZE));
	memcpy(frame + sender->udp_offset + UDP_SIZE, magic, sizeof(magic));
	for (size_t i = sender->udp_offset + UDP_SIZE + NUMBER_SIZE; i < options->size; i++)
		frame[i] = (uint8_t)i;
}

/* Sets ports and number in a copy of the template. */
static void number_frame(const struct sender *sender, uint8_t *frame, uint64_t index)
{
	const struct options *options = &sender->options;
	uint8_t *udp = frame + sender->udp_offset;

	put16(udp, options->src_port.low + (unsigned)(index % (options->src_port.high - options->src_port.low + 1u)));
	put16(udp + 2,
	      options->dst_port.low + (unsigned)(index % (options->dst_port.high - options->dst_port.low + 1u)));
	put64(udp + UDP_SIZE + sizeof(magic), options->first + index);
}

static void open_socket(struct sender *sender)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = 0};
	int one = 1, buffer = 4 << 20;

	address.sll_ifindex = (int)if_nametoindex(sender->options.interface);
	if (!address.sll_ifindex)
		die(sender->options.interface);
	sender->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: receives nothing */
	if (sender->fd < 0)
		die("socket");
	if (bind(sender->fd, (struct sockaddr *)&address, sizeof(address)))
		die("bind");
	if (setsockopt(sender->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)))
		die("SO_SNDBUFFORCE");
	if (sender->options.bypass && setsockopt(sender->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		die("PACKET_QDISC_BYPASS");
}

static bool wait_writable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	return poll(&poll_fd, 1, 100) >= 0 || errno == EINTR;
}

/* True: send the same frames again; waits briefly if the socket is full. */
static bool is_transient(struct sender *sender)
{
	if (errno == EINTR)
		return true;
	if (errno == ENOBUFS || errno == EAGAIN)
		return wait_writable(sender->fd);
	return false;
}

/* sendmmsg: one system call per burst; the kernel copies each frame. */
struct mmsg_sender {
	struct mmsghdr messages[BURST_MAX];
	struct iovec vectors[BURST_MAX];
	uint8_t *frames;
};

static void mmsg_open(struct mmsg_sender *mmsg, const struct sender *sender)
{
	size_t size = sender->options.size;

	mmsg->frames = calloc(BURST_MAX, size);
	if (!mmsg->frames)
		die("memory");
	memset(mmsg->messages, 0, sizeof(mmsg->messages));
	for (unsigned i = 0; i < BURST_MAX; i++) {
		memcpy(mmsg->frames + i * size, sender->template, size);
		mmsg->vectors[i] = (struct iovec){.iov_base = mmsg->frames + i * size, .iov_len = size};
		mmsg->messages[i].msg_hdr.msg_iov = &mmsg->vectors[i];
		mmsg->messages[i].msg_hdr.msg_iovlen = 1;
	}
}

static void mmsg_burst(struct mmsg_sender *mmsg, struct sender *sender, unsigned burst)
{
	unsigned done = 0;

	for (unsigned i = 0; i < burst; i++)
		number_frame(sender, mmsg->vectors[i].iov_base, sender->next + i);
	while (done < burst && !stopped) {
		int taken = sendmmsg(sender->fd, mmsg->messages + done, burst - done, 0);

		if (taken > 0) {
			done += (unsigned)taken;
			sender->sent += (unsigned)taken;
		} else if (!is_transient(sender)) {
			if (sender->errors++ == 0)
				fprintf(stderr, "send_packets: sendmmsg: %s\n", strerror(errno));
			done++; /* skip this frame */
		}
	}
	sender->next += burst;
}

/* PACKET_TX_RING: the kernel sends from shared memory. One frame per slot; large frames have one slot per block. */
struct ring_sender {
	uint8_t *map;
	size_t frame_size;
	unsigned position;
};

#define RING_DATA_OFFSET (TPACKET2_HDRLEN - sizeof(struct sockaddr_ll))

static void ring_open(struct ring_sender *ring, const struct sender *sender)
{
	int version = TPACKET_V2, lossy = 1;
	struct tpacket_req request = {0};
	size_t frame_size = 256;

	while (frame_size < RING_DATA_OFFSET + sender->options.size)
		frame_size *= 2;
	request.tp_frame_size = (unsigned)frame_size;
	request.tp_frame_nr = RING_FRAMES;
	request.tp_block_size = (unsigned)(frame_size < 65536 ? 65536 : frame_size);
	request.tp_block_nr = (unsigned)(frame_size * RING_FRAMES / request.tp_block_size);
	if (setsockopt(sender->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)))
		die("PACKET_VERSION");
	if (setsockopt(sender->fd, SOL_PACKET, PACKET_LOSS, &lossy, sizeof(lossy)))
		die("PACKET_LOSS");
	if (setsockopt(sender->fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof(request)))
		die("PACKET_TX_RING");
	ring->map = mmap(NULL, frame_size * RING_FRAMES, PROT_READ | PROT_WRITE, MAP_SHARED, sender->fd, 0);
	if (ring->map == MAP_FAILED)
		die("mmap");
	ring->frame_size = frame_size;
	ring->position = 0;
	for (unsigned i = 0; i < RING_FRAMES; i++)
		memcpy(ring->map + i * frame_size + RING_DATA_OFFSET, sender->template, sender->options.size);
}

static void ring_kick(struct sender *sender)
{
	while (send(sender->fd, NULL, 0, 0) < 0 && !stopped) {
		if (!is_transient(sender)) {
			if (sender->errors++ == 0)
				fprintf(stderr, "send_packets: send: %s\n", strerror(errno));
			return;
		}
	}
}

static void ring_burst(struct ring_sender *ring, struct sender *sender, unsigned burst)
{
	for (unsigned i = 0; i < burst; i++) {
		struct tpacket2_hdr *header = (void *)(ring->map + ring->position * ring->frame_size);

		/* acquire: after this status, the kernel no longer reads the slot */
		while (__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE && !stopped) {
			ring_kick(sender);
			if (__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE)
				wait_writable(sender->fd);
		}
		number_frame(sender, (uint8_t *)header + RING_DATA_OFFSET, sender->next + i);
		header->tp_len = (unsigned)sender->options.size;
		/* release: the kernel sees the frame before the status */
		__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		ring->position = (ring->position + 1) % RING_FRAMES;
	}
	ring_kick(sender);
	sender->next += burst;
	sender->sent += burst;
}

static void sleep_until(uint64_t time_ns)
{
	struct timespec time = {.tv_sec = (time_t)(time_ns / NS_PER_S), .tv_nsec = (long)(time_ns % NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR && !stopped)
		;
}

/* Returns how many frames to send now, by remaining count and rate; waits until one is due. 0: all sent. */
static unsigned due(const struct sender *sender, uint64_t start_ns)
{
	const struct options *options = &sender->options;
	uint64_t burst = BURST_MAX;

	if (options->count)
		burst = options->count - sender->next < burst ? options->count - sender->next : burst;
	if (options->rate > 0) {
		uint64_t per_millisecond = (uint64_t)(options->rate / 1000) + 1;

		burst = per_millisecond < burst ? per_millisecond : burst;
		sleep_until(start_ns + (uint64_t)((double)sender->next / options->rate * 1e9));
	}
	return (unsigned)burst;
}

static void run(struct sender *sender)
{
	uint64_t start_ns = now_ns(CLOCK_MONOTONIC), end_ns = UINT64_MAX;
	struct mmsg_sender mmsg = {0};
	struct ring_sender ring = {0};
	unsigned burst;

	if (sender->options.seconds > 0)
		end_ns = start_ns + (uint64_t)(sender->options.seconds * 1e9);
	if (sender->options.ring)
		ring_open(&ring, sender);
	else
		mmsg_open(&mmsg, sender);
	while (!stopped && now_ns(CLOCK_MONOTONIC) < end_ns && (burst = due(sender, start_ns)) > 0) {
		if (sender->options.ring)
			ring_burst(&ring, sender, burst);
		else
			mmsg_burst(&mmsg, sender, burst);
	}
	free(mmsg.frames);
}

int main(int argc, char **argv)
{
	static struct sender sender;
	struct rusage usage;
	uint64_t start_ns;
	double elapsed, cpu;

	sender.options = parse(argc, argv);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	build_template(&sender);
	open_socket(&sender);
	start_ns = now_ns(CLOCK_MONOTONIC);
	run(&sender);
	elapsed = (double)(now_ns(CLOCK_MONOTONIC) - start_ns) / 1e9;
	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("{\"sent\":%llu,\"errors\":%llu,\"first\":%llu,\"elapsed_s\":%.6f,\"cpu_s\":%.6f,\"rate_pps\":%.0f}\n",
	       (unsigned long long)sender.sent, (unsigned long long)sender.errors,
	       (unsigned long long)sender.options.first, elapsed, cpu, elapsed > 0 ? (double)sender.sent / elapsed : 0);
	return sender.errors ? 1 : 0;
}
