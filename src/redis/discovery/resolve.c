/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * getaddrinfo() blocks while name servers are silent, which can be half a minute, and cannot be interrupted. So each
 * lookup runs on a detached thread and has two owners, the thread and the caller. The last of them frees it, so the
 * caller can go away (shutdown) without waiting. One thread per unanswered lookup; a link has one lookup at a time.
 */
#include "redis/discovery/resolve.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

struct resolve {
	atomic_int references;
	int wake_fd; /* written by the thread once `result` is complete */
	char *host;
	struct resolve_result result;

	/* Used by the caller only. */
	struct event *wake;
	resolve_done done;
	void *ctx;
};

static void resolve_release(struct resolve *resolve)
{
	/* acq_rel: the owner that frees must see everything that the other one did. */
	if (atomic_fetch_sub_explicit(&resolve->references, 1, memory_order_acq_rel) > 1)
		return;
	if (resolve->wake_fd >= 0)
		close(resolve->wake_fd);
	free(resolve->host);
	free(resolve);
}

static void look_up(const char *host, int flags, struct resolve_result *result)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *list = NULL;
	int code = getaddrinfo(host, NULL, &hints, &list);

	result->count = 0;
	result->error = code ? gai_strerror(code) : NULL;
	if (code)
		return;
	for (struct addrinfo *entry = list; entry && result->count < RESOLVE_ADDRESSES_MAX; entry = entry->ai_next)
		if (getnameinfo(entry->ai_addr, entry->ai_addrlen, result->address[result->count], RESOLVE_ADDRESS_SIZE,
				NULL, 0, NI_NUMERICHOST) == 0)
			result->count++;
	freeaddrinfo(list);
	if (result->count == 0)
		result->error = "no usable address";
}

bool resolve_numeric(const char *host, struct resolve_result *result)
{
	look_up(host, AI_NUMERICHOST, result);
	return !result->error;
}

static void *resolve_thread(void *data)
{
	struct resolve *resolve = data;
	const uint64_t one = 1;

	look_up(resolve->host, AI_ADDRCONFIG, &resolve->result);
	/* AI_ADDRCONFIG hides loopback addresses on a host without any other. */
	if (resolve->result.error)
		look_up(resolve->host, 0, &resolve->result);
	while (write(resolve->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	resolve_release(resolve);
	return NULL;
}

static void on_resolved(evutil_socket_t fd, short what, void *data)
{
	struct resolve *resolve = data;
	uint64_t count;

	(void)what;
	if (read((int)fd, &count, sizeof(count)) < 0)
		return;
	event_free(take(resolve->wake));
	resolve->done(resolve->ctx, &resolve->result);
	resolve_release(resolve);
}

/* Signals belong to the loop: this thread must take none. */
static int start_thread(struct resolve *resolve)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all_signals, old_mask;
	int code = pthread_attr_init(&attributes);

	if (code)
		return -code;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all_signals);
	pthread_sigmask(SIG_SETMASK, &all_signals, &old_mask);
	code = pthread_create(&thread, &attributes, resolve_thread, resolve);
	pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
	pthread_attr_destroy(&attributes);
	return -code;
}

struct resolve *resolve_start(struct event_base *loop, const char *host, resolve_done done, void *ctx)
{
	struct resolve *resolve = calloc(1, sizeof(*resolve));

	if (!resolve)
		return NULL;
	atomic_init(&resolve->references, 1);
	resolve->done = done;
	resolve->ctx = ctx;
	resolve->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	resolve->host = strdup(host);
	if (resolve->wake_fd < 0 || !resolve->host)
		goto fail;
	resolve->wake = event_new(loop, resolve->wake_fd, EV_READ, on_resolved, resolve);
	if (!resolve->wake || event_add(resolve->wake, NULL) < 0)
		goto fail;
	atomic_store_explicit(&resolve->references, 2, memory_order_relaxed);
	if (start_thread(resolve) == 0)
		return resolve;
	atomic_store_explicit(&resolve->references, 1, memory_order_relaxed);
fail:
	if (resolve->wake)
		event_free(resolve->wake);
	resolve_release(resolve);
	return NULL;
}

void resolve_cancel(struct resolve *resolve)
{
	if (!resolve)
		return;
	event_free(take(resolve->wake));
	resolve_release(resolve);
}
