/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of links (base/link_table.h) only tells that something has changed, so all interfaces are listed then.
 * That takes milliseconds if there are hundreds, and pods may come and go all the time: at most a tenth of the loop's
 * time goes into it. An interface counts as known by its index, which the kernel does not use twice, and its link type:
 * packets of another one are another interface in a file.
 */
#include "job/follow.h"

#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/link_table.h"
#include "base/log.h"
#include "base/network_interface.h"
#include "capture/link_type.h"
#include "job/targets.h"

#define LISTING_SHARE 10	      /* a listing is followed by this many times its duration without one, */
#define LISTING_PAUSE_MAX_NS NS_PER_S /* but no longer: the thread may have been held up */
#define KNOWN_PRUNED_AT 8192	      /* known interfaces, from which on those that are gone are forgotten */

struct known {
	unsigned index;
	uint16_t linktype; /* that it had last */
};

struct follower {
	LIST_ENTRY(follower) list;
	struct follow *follow;
	follow_appeared appeared;
	void *ctx;
	struct known *known;
	size_t known_count, known_room;
	bool calling, ended; /* ended within a call: freed after it */
};

struct follow {
	struct event_base *loop;
	LIST_HEAD(, follower) followers;
	int link_fd;
	struct event *link_event, *timer;
	uint64_t not_before_ns; /* the next listing */
};

/* --- what a follower has --- */

static struct known *find_known(const struct follower *follower, unsigned index)
{
	for (size_t i = follower->known_count; i > 0; i--) {
		if (follower->known[i - 1].index == index)
			return &follower->known[i - 1];
	}
	return NULL;
}

static bool knows(const struct follower *follower, const struct network_interface *device)
{
	const struct known *known = find_known(follower, (unsigned)device->index);

	return known && known->linktype == link_type_of(device->hardware).linktype;
}

static void forget_gone(struct follower *follower)
{
	char name[IF_NAMESIZE];
	size_t kept = 0;

	for (size_t i = 0; i < follower->known_count; i++) {
		if (if_indextoname(follower->known[i].index, name) || errno != ENXIO)
			follower->known[kept++] = follower->known[i];
	}
	follower->known_count = kept;
}

static bool remember(struct follower *follower, unsigned index, unsigned short hardware)
{
	const struct known seen = {.index = index, .linktype = link_type_of(hardware).linktype};
	struct known *known = find_known(follower, index);

	if (known)
		*known = seen;
	if (known || !index)
		return true;
	if (follower->known_count == follower->known_room && follower->known_count >= KNOWN_PRUNED_AT)
		forget_gone(follower);
	if (follower->known_count == follower->known_room) {
		const size_t room = follower->known_room ? 2 * follower->known_room : 64;

		known = reallocarray(follower->known, room, sizeof(*known));
		if (!known)
			return false;
		follower->known = known;
		follower->known_room = room;
	}
	follower->known[follower->known_count++] = seen;
	return true;
}

/* --- listing --- */

static void stop_watching(struct follow *follow)
{
	if (follow->link_event)
		event_free(follow->link_event);
	follow->link_event = NULL;
	link_table_unwatch(&follow->link_fd);
}

static void free_follower(struct follower *follower)
{
	LIST_REMOVE(follower, list);
	if (LIST_EMPTY(&follower->follow->followers))
		stop_watching(follower->follow);
	free(follower->known);
	free(follower);
}

static void offer(struct follower *follower, const struct interface_list *up)
{
	follower->calling = true;
	for (size_t i = 0; i < up->count && !follower->ended; i++) {
		struct network_interface device;

		if (network_interface_read((int)up->indexes[i], &device) < 0 || knows(follower, &device))
			continue;
		if (follower->appeared(follower->ctx, &device) && !remember(follower, up->indexes[i], device.hardware))
			log_error("interface-may-join-twice", log_str("interface", up->names[i]),
				  log_str("error", "out of memory"));
	}
	follower->calling = false;
	if (follower->ended)
		free_follower(follower);
}

static void list_interfaces(struct follow *follow)
{
	const uint64_t begin_ns = clock_boottime_ns();
	struct interface_list up = {0};
	struct follower *next;

	const int r = interface_list_read(true, &up);
	if (r < 0)
		log_error("interfaces-not-listed", log_str("error", strerror(-r)));
	for (struct follower *follower = LIST_FIRST(&follow->followers); follower; follower = next) {
		next = LIST_NEXT(follower, list);
		offer(follower, &up);
	}
	interface_list_deinit(&up);
	const uint64_t end_ns = clock_boottime_ns();
	const uint64_t pause_ns = LISTING_SHARE * (end_ns - begin_ns);
	follow->not_before_ns = end_ns + (pause_ns < LISTING_PAUSE_MAX_NS ? pause_ns : LISTING_PAUSE_MAX_NS);
}

void follow_look(struct follow *follow)
{
	const uint64_t now_ns = clock_boottime_ns();
	const uint64_t wait_ns = follow->not_before_ns > now_ns ? follow->not_before_ns - now_ns : 0;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000)};

	if (!LIST_EMPTY(&follow->followers) && !evtimer_pending(follow->timer, NULL))
		evtimer_add(follow->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	list_interfaces(ctx);
}

static void on_link_change(evutil_socket_t fd, short what, void *ctx)
{
	(void)what;
	if (link_table_has_changed(fd))
		follow_look(ctx);
}

/* --- start and end --- */

struct follow *follow_new(struct event_base *loop)
{
	struct follow *follow = calloc(1, sizeof(*follow));

	if (!follow)
		return NULL;
	follow->loop = loop;
	follow->link_fd = -1;
	LIST_INIT(&follow->followers);
	follow->timer = evtimer_new(loop, on_timer, follow);
	if (follow->timer)
		return follow;
	follow_free(follow);
	return NULL;
}

void follow_free(struct follow *follow)
{
	if (!follow)
		return;
	stop_watching(follow);
	if (follow->timer)
		event_free(follow->timer);
	free(follow);
}

static int start_watching(struct follow *follow)
{
	if (follow->link_event)
		return 0;
	follow->link_fd = link_table_watch();
	if (follow->link_fd < 0)
		return follow->link_fd;
	follow->link_event = event_new(follow->loop, follow->link_fd, EV_READ | EV_PERSIST, on_link_change, follow);
	if (follow->link_event && event_add(follow->link_event, NULL) == 0)
		return 0;
	stop_watching(follow);
	return -ENOMEM;
}

struct follower *follow_begin(struct follow *follow, const struct targets *targets, follow_appeared appeared, void *ctx)
{
	struct follower *follower = start_watching(follow) == 0 ? calloc(1, sizeof(*follower)) : NULL;

	if (!follower)
		return NULL;
	follower->follow = follow;
	follower->appeared = appeared;
	follower->ctx = ctx;
	LIST_INSERT_HEAD(&follow->followers, follower, list);
	bool ok = true;
	for (size_t i = 0; ok && i < targets->count; i++)
		ok = remember(follower, (unsigned)targets->items[i].on.ifindex, targets->items[i].on.hardware);
	follow_look(follow); /* something may have appeared since they were listed */
	if (ok)
		return follower;
	follow_end(follower);
	return NULL;
}

void follow_end(struct follower *follower)
{
	if (!follower)
		return;
	follower->ended = true;
	if (!follower->calling)
		free_follower(follower);
}
