/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cost of captures that each have their own libpcap handle, for benchmarks: opens COUNT handles on one interface,
 * each with its own filter (`udp dst port FIRST_PORT + i`), reads them in one epoll loop and, on SIGINT or SIGTERM,
 * prints the totals as one JSON line.
 *
 * pcap_handles INTERFACE COUNT FIRST_PORT; prints "ready" on stderr once all are open.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define HANDLES_MAX 1000
#define SNAPLEN 65535
#define TIMEOUT_MS 100

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "pcap_handles: %s: %s\n", what, why);
	exit(1);
}

static unsigned number(const char *text, unsigned low, unsigned high)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || value < low || value > high)
		die(text, "not a number in range");
	return (unsigned)value;
}

static pcap_t *open_handle(const char *interface, unsigned port)
{
	char error[PCAP_ERRBUF_SIZE], filter[32];
	struct bpf_program program;
	pcap_t *handle = pcap_open_live(interface, SNAPLEN, 0, TIMEOUT_MS, error);

	if (!handle)
		die(interface, error);
	snprintf(filter, sizeof(filter), "udp dst port %u", port);
	if (pcap_compile(handle, &program, filter, 1, PCAP_NETMASK_UNKNOWN) || pcap_setfilter(handle, &program))
		die(filter, pcap_geterr(handle));
	pcap_freecode(&program);
	if (pcap_setnonblock(handle, 1, error))
		die(interface, error);
	return handle;
}

static void count_packet(u_char *counter, const struct pcap_pkthdr *header, const u_char *bytes)
{
	(void)header;
	(void)bytes;
	++*(uint64_t *)(void *)counter;
}

static uint64_t read_all(int epoll_fd)
{
	uint64_t captured = 0;
	struct epoll_event events[64];

	while (!stopped) {
		int count = epoll_wait(epoll_fd, events, 64, -1);

		for (int i = 0; i < count; i++)
			pcap_dispatch(events[i].data.ptr, -1, count_packet, (u_char *)&captured);
	}
	return captured;
}

static double now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	static pcap_t *handles[HANDLES_MAX];
	uint64_t captured, received = 0, dropped = 0;
	unsigned count, first;
	double begin_ms = now_ms(), open_ms;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	if (argc != 4)
		die("usage", "pcap_handles INTERFACE COUNT FIRST_PORT");
	count = number(argv[2], 1, HANDLES_MAX);
	first = number(argv[3], 1, UINT16_MAX - HANDLES_MAX);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (unsigned i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		handles[i] = open_handle(argv[1], first + i);
		event.data.ptr = handles[i];
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pcap_get_selectable_fd(handles[i]), &event))
			die("epoll", strerror(errno));
	}
	open_ms = now_ms() - begin_ms;
	fprintf(stderr, "ready\n");
	captured = read_all(epoll_fd);
	for (unsigned i = 0; i < count; i++) {
		struct pcap_stat statistics = {0};

		if (pcap_stats(handles[i], &statistics) == 0) {
			received += statistics.ps_recv;
			dropped += statistics.ps_drop;
		}
	}
	printf("{\"handles\":%u,\"captured\":%llu,\"received\":%llu,\"dropped\":%llu,\"open_ms\":%.1f}\n", count,
	       (unsigned long long)captured, (unsigned long long)received, (unsigned long long)dropped, open_ms);
	return 0;
}
