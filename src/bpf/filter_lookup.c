/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libpcap looks names up while it compiles, and that cannot be interrupted: a name server that does not answer takes as
 * long as it likes. So an expression with names is compiled on a thread of its own, and given up on after a while; the
 * thread ends when libpcap returns. FILTER_LOOKUPS_MAX bounds such threads.
 */
#include "bpf/filter_lookup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/packet.h"
#include "bpf/filter.h"

#define STACK_BYTES ((size_t)512 * 1024) /* libpcap's parser and the resolver */

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
