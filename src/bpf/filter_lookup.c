/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libpcap looks names up while it compiles, and that cannot be interrupted: a name server that does not answer takes as
 * long as it likes. So an expression with names is compiled on a thread of its own, and given up on after a while; the
 * thread ends when libpcap returns. FILTER_LOOKUPS_MAX bounds such threads.
 *
 * Whether a word is a name is decided as libpcap's scanner does (scanner.l, 1.10): the longest match wins, keywords are
 * lower case, and whatever is neither keyword nor number nor address is a name, also if it begins with a digit. Words
 * that only some versions know count as names: that costs a thread, no more.
 */
#include "bpf/filter_lookup.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/packet.h"
#include "bpf/filter.h"
#include "bpf/filter_internal.h"

#define STACK_BYTES ((size_t)512 * 1024) /* libpcap's parser and the resolver */

/* --- which words are names? --- */

static bool is_keyword(const char *word, size_t length)
{
	static const char *const keywords[] = {
		"and",
		"or",
		"not",
		"host",
		"net",
		"mask",
		"port",
		"portrange",
		"proto",
		"protochain",
		"src",
		"dst",
		"ether",
		"ip",
		"ip6",
		"arp",
		"rarp",
		"tcp",
		"udp",
		"sctp",
		"icmp",
		"icmp6",
		"igmp",
		"pim",
		"vrrp",
		"carp",
		"ah",
		"esp",
		"vlan",
		"mpls",
		"pppoed",
		"pppoes",
		"geneve",
		"broadcast",
		"multicast",
		"less",
		"greater",
		"gateway",
		"len",
		"length",
		"link",
		"fddi",
		"tr",
		"wlan",
		"ipx",
		"atalk",
		"aarp",
		"decnet",
		"iso",
		"stp",
		"netbeui",
		"lat",
		"moprc",
		"mopdl",
		"sca",
		"clnp",
		"esis",
		"es-is",
		"isis",
		"is-is",
		"l1",
		"l2",
		"iih",
		"lsp",
		"snp",
		"csnp",
		"psnp",
		"tcpflags",
		"icmptype",
		"icmpcode",
		"icmp6type",
		"icmp6code",
		"inbound",
		"outbound",
		"igrp",
		"radio",
		"llc",
		"ppp",
		"slip",
		"byte",
		"on",
		"ifname",
		"type",
		"subtype",
		"dir",
		"direction",
		"addr1",
		"addr2",
		"addr3",
		"addr4",
		"vpi",
		"vci",
		"lane",
		"tcp-fin",
		"tcp-syn",
		"tcp-rst",
		"tcp-push",
		"tcp-ack",
		"tcp-urg",
		"tcp-ece",
		"tcp-cwr",
		"icmp-echoreply",
		"icmp-unreach",
		"icmp-sourcequench",
		"icmp-redirect",
		"icmp-echo",
		"icmp-routeradvert",
		"icmp-routersolicit",
		"icmp-timxceed",
		"icmp-paramprob",
		"icmp-tstamp",
		"icmp-tstampreply",
		"icmp-ireq",
		"icmp-ireqreply",
		"icmp-maskreq",
		"icmp-maskreply",
		"icmp6-packettoobig",
		"icmp6-timeexceeded",
		"icmp6-parameterproblem",
		"icmp6-echo",
		"icmp6-echoreply",
		"icmp6-routersolicit",
		"icmp6-routeradvert",
		"icmp6-neighborsolicit",
		"icmp6-neighboradvert",
		"icmp6-redirect",
	};

	for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
		if (strlen(keywords[i]) == length && strncmp(keywords[i], word, length) == 0)
			return true;
	return false;
}

/* [0-9]+ or 0x[0-9A-Fa-f]+ */
static bool is_number(const char *text, size_t length)
{
	const bool hexadecimal = length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');

	for (size_t i = hexadecimal ? 2 : 0; i < length; i++)
		if (hexadecimal ? !isxdigit((unsigned char)text[i]) : !isdigit((unsigned char)text[i]))
			return false;
	return length > 0;
}

/* [0-9A-Fa-f]{1,digits} */
static bool is_hex(const char *text, size_t length, size_t digits)
{
	for (size_t i = 0; i < length; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	return length > 0 && length <= digits;
}

/* Splits the word at a character; returns the number of parts if all are numbers (`digits` 0) or hexadecimal; else 0.
 */
static unsigned count_parts(const char *word, size_t length, char separator, size_t digits)
{
	unsigned parts = 0;

	for (size_t at = 0; at <= length; parts++) {
		const char *end = memchr(word + at, separator, length - at);
		const size_t size = end ? (size_t)(end - word) - at : length - at;

		if (digits ? !is_hex(word + at, size, digits) : !is_number(word + at, size))
			return 0;
		at += size + 1;
	}
	return parts;
}

/* Numbers, IPv4 addresses and nets, IPv6 and Ethernet addresses, a range of ports. */
static bool is_numeric(const char *word, size_t length, bool after_portrange)
{
	if (count_parts(word, length, ':', 0) == 2) /* ip[0x2:2] */
		return true;
	if (memchr(word, ':', length)) { /* an address, or no word to libpcap */
		for (size_t i = 0; i < length; i++)
			if (!isxdigit((unsigned char)word[i]) && word[i] != ':' && word[i] != '.')
				return false;
		return true;
	}
	const unsigned numbers = count_parts(word, length, '.', 0);
	return (numbers >= 1 && numbers <= 4) || count_parts(word, length, '.', 2) == 6 ||
	       count_parts(word, length, '-', 2) == 6 || count_parts(word, length, '.', 4) == 3 ||
	       (after_portrange && count_parts(word, length, '-', 0) == 2);
}

bool filter_may_resolve_names(const char *expression)
{
	bool after_portrange = false;

	for (const char *at = expression ? expression : ""; *at;) {
		const char *end = at;

		while (filter_is_word_character(*end))
			end++;
		const size_t length = (size_t)(end - at);
		if (*at == '\\') /* makes a name of a keyword */
			return true;
		if (length && strspn(at, "-") < length && !is_keyword(at, length) &&
		    !is_numeric(at, length, after_portrange))
			return true;
		if (length)
			after_portrange = length == 9 && strncmp(at, "portrange", 9) == 0;
		at = length ? end : at + 1;
	}
	return false;
}

/* --- compiling --- */

/* Shared by the thread and its caller; the last one frees it. */
struct lookup {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t ended;
	bool done, abandoned;
	int result;
	struct error error;
	struct bpf_program program;
	struct filter_source source; /* not guarded */
	char expression[];
};

static atomic_uint lookups;

static int compile_now(const struct filter_source *source, struct error *err, struct bpf_program *program)
{
	/* The snap length is what "accept" returns; the real one is applied when copying. */
	pcap_t *pcap = pcap_open_dead(source->dlt, PACKET_SNAPLEN_MAX);

	if (!pcap)
		return error_set(err, -ENOMEM, "out of memory");
	int r = pcap_compile(pcap, program, source->expression, 0, source->netmask);
	if (r < 0)
		r = error_set(err, -EINVAL, "%s", pcap_geterr(pcap));
	pcap_close(pcap);
	return r;
}

static void lookup_free(struct lookup *lookup)
{
	pthread_cond_destroy(&lookup->ended);
	pthread_mutex_destroy(&lookup->lock);
	free(lookup);
	atomic_fetch_sub(&lookups, 1);
}

static void *run_lookup(void *ctx)
{
	struct lookup *lookup = ctx;
	struct bpf_program program = {0};
	struct error error;

	pthread_setname_np(pthread_self(), "pcapd-lookup");
	const int r = compile_now(&lookup->source, &error, &program);
	pthread_mutex_lock(&lookup->lock);
	const bool abandoned = lookup->abandoned;
	lookup->done = true;
	lookup->result = r;
	lookup->program = program;
	if (r < 0)
		lookup->error = error;
	pthread_cond_signal(&lookup->ended);
	pthread_mutex_unlock(&lookup->lock);
	if (abandoned && r == 0)
		pcap_freecode(&program);
	if (abandoned)
		lookup_free(lookup);
	return NULL;
}

static struct lookup *lookup_new(const struct filter_source *source)
{
	const size_t size = strlen(source->expression) + 1;
	struct lookup *lookup = calloc(1, sizeof(*lookup) + size);
	pthread_condattr_t attributes;

	if (!lookup)
		return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&lookup->lock, NULL);
	pthread_cond_init(&lookup->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	memcpy(lookup->expression, source->expression, size);
	lookup->source = *source;
	lookup->source.expression = lookup->expression;
	return lookup;
}

static int start_lookup(struct lookup *lookup)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const int r = pthread_create(&thread, &attributes, run_lookup, lookup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

/* Returns the thread's result, or abandons it. */
static int await_lookup(struct lookup *lookup, struct error *err, struct bpf_program *program)
{
	const uint64_t until_ns = clock_monotonic_ns() + FILTER_LOOKUP_S * NS_PER_S;
	const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)};
	int r = 0;

	pthread_mutex_lock(&lookup->lock);
	while (!lookup->done && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&lookup->ended, &lookup->lock, &until);
	const bool done = lookup->done;
	lookup->abandoned = !done;
	pthread_mutex_unlock(&lookup->lock);
	if (!done)
		return error_set(err, -ETIMEDOUT, "looking up its names took longer than %d s; use addresses",
				 FILTER_LOOKUP_S);
	r = lookup->result;
	if (r == 0)
		*program = lookup->program;
	else
		error_set(err, r, "%s", lookup->error.text);
	lookup_free(lookup);
	return r;
}

int filter_compile_source(const struct filter_source *source, struct error *err, struct bpf_program *program)
{
	struct lookup *lookup;

	if (!filter_may_resolve_names(source->expression))
		return compile_now(source, err, program);
	if (atomic_fetch_add(&lookups, 1) >= FILTER_LOOKUPS_MAX) {
		atomic_fetch_sub(&lookups, 1);
		return error_set(err, -EAGAIN, "the names of too many filters are being looked up");
	}
	lookup = lookup_new(source);
	if (!lookup) {
		atomic_fetch_sub(&lookups, 1);
		return error_set(err, -ENOMEM, "out of memory");
	}
	if (start_lookup(lookup) < 0) {
		lookup_free(lookup);
		return error_set(err, -EAGAIN, "no thread to look up its names");
	}
	return await_lookup(lookup, err, program);
}
