/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel queues a notice before the call that changed an interface returns. Each reader of the table first takes
 * over what is queued, so it knows all changes that were finished when it was called. If notices were lost, because the
 * queue was full, the thread reads all interfaces again; until then the table is as it was.
 *
 * Those who wait for changes (link_table_watch) have no notices of their own: the kernel hands a notice to one socket
 * after the other, so another socket's notice may come before the table's.
 */
#include "base/link_table.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

#define QUEUE_BYTES (8 << 20)	   /* several thousand notices */
#define MESSAGE_BYTES (256u << 10) /* a link has at most 64 KiB of names */
#define DUMPS_MAX 8		   /* while interfaces change all the time */
#define WATCHES_MAX 8
#define RETRY_MS 1000

struct entry {
	struct link_entry link;
	char *alternatives; /* each with its NUL; after the last an empty one. NULL: none */
	uint64_t changed;   /* a name belongs to the entry that was changed last */
};

struct table {
	int fd; /* for notices */
	bool lost;
	struct entry *entries; /* by index */
	size_t count, room;
	uint64_t changes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct table current = {.fd = -1};
static bool started, stop;
static int wake_fd = -1;
static int watches[WATCHES_MAX]; /* under `lock` */
static size_t watch_count;
static pthread_t thread;
static _Alignas(struct nlmsghdr) uint8_t notice[MESSAGE_BYTES]; /* under `lock` */

/* --- messages --- */

/* The next attribute of a list, which is cut off it. False: there is no more. */
static bool next_attribute(const uint8_t **at, size_t *left, struct nlattr *header, const uint8_t **data, size_t *size)
{
	if (*left < sizeof(*header))
		return false;
	memcpy(header, *at, sizeof(*header));
	if (header->nla_len < NLA_HDRLEN || header->nla_len > *left)
		return false;
	*data = *at + NLA_HDRLEN;
	*size = header->nla_len - (size_t)NLA_HDRLEN;
	const size_t step = NLA_ALIGN(header->nla_len);
	*at += step < *left ? step : *left;
	*left -= step < *left ? step : *left;
	return true;
}

/* Bridges report their ports, and wireless drivers their events, in messages of the same type that lack the rest. */
bool link_message_parse(const void *message, size_t size, struct link_message *parsed)
{
	const struct nlmsghdr *header = message;
	const size_t fixed = NLMSG_SPACE(sizeof(struct ifinfomsg));
	struct nlattr attribute;
	const uint8_t *data;
	size_t data_size;

	if (size < fixed || header->nlmsg_len < fixed || header->nlmsg_len > size ||
	    (header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK))
		return false;
	struct ifinfomsg link;
	memcpy(&link, (const uint8_t *)message + NLMSG_HDRLEN, sizeof(link));
	if (link.ifi_family != AF_UNSPEC || link.ifi_index <= 0)
		return false;
	*parsed = (struct link_message){.index = link.ifi_index,
					.removed = header->nlmsg_type == RTM_DELLINK,
					.up = link.ifi_flags & IFF_UP};
	const uint8_t *at = (const uint8_t *)message + fixed;
	size_t left = header->nlmsg_len - fixed;
	while (next_attribute(&at, &left, &attribute, &data, &data_size)) {
		switch (attribute.nla_type & NLA_TYPE_MASK) {
		case IFLA_WIRELESS:
			return false;
		case IFLA_IFNAME:
			snprintf(parsed->name, sizeof(parsed->name), "%.*s", (int)data_size, (const char *)data);
			break;
		case IFLA_PROP_LIST:
			parsed->alternatives = data;
			parsed->alternatives_size = data_size;
			break;
		default:
			break;
		}
	}
	return parsed->removed || *parsed->name;
}

/* As in struct entry. NULL: there are none, or out of memory. */
static char *copy_alternatives(const struct link_message *message)
{
	const uint8_t *at = message->alternatives, *data;
	size_t left = message->alternatives_size, size, used = 0;
	struct nlattr attribute;
	char *names = left ? malloc(left + 1) : NULL; /* an attribute's header is larger than a NUL */

	while (names && next_attribute(&at, &left, &attribute, &data, &size)) {
		const size_t length = strnlen((const char *)data, size);

		if ((attribute.nla_type & NLA_TYPE_MASK) != IFLA_ALT_IFNAME || !length)
			continue;
		memcpy(names + used, data, length);
		names[used + length] = '\0';
		used += length + 1;
	}
	if (names)
		names[used] = '\0';
	return names;
}

/* --- a table --- */

/* Where the entry with this index is, or would be. */
static size_t find_place(const struct table *table, int index)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (table->entries[middle].link.index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct table *table, size_t place, int index)
{
	return place < table->count && table->entries[place].link.index == index;
}

static void remove_entry(struct table *table, size_t place)
{
	free(table->entries[place].alternatives);
	table->count--;
	memmove(table->entries + place, table->entries + place + 1, (table->count - place) * sizeof(*table->entries));
}

static bool insert_entry(struct table *table, size_t place)
{
	if (table->count == table->room) {
		const size_t room = table->room ? 2 * table->room : 64;
		struct entry *entries =
			table->count < LINK_TABLE_MAX ? reallocarray(table->entries, room, sizeof(*entries)) : NULL;

		if (!entries)
			return false;
		table->entries = entries;
		table->room = room;
	}
	memmove(table->entries + place + 1, table->entries + place, (table->count - place) * sizeof(*table->entries));
	table->entries[place] = (struct entry){0};
	table->count++;
	return true;
}

static void apply(struct table *table, const struct link_message *message)
{
	const size_t place = find_place(table, message->index);
	const bool known = is_at(table, place, message->index);

	if (message->removed && known)
		remove_entry(table, place);
	if (message->removed)
		return;
	if (!known && !insert_entry(table, place)) {
		table->lost |= table->count < LINK_TABLE_MAX;
		return;
	}
	struct entry *entry = &table->entries[place];
	entry->link.index = message->index;
	entry->link.up = message->up;
	entry->changed = ++table->changes;
	memcpy(entry->link.name, message->name, sizeof(entry->link.name));
	free(entry->alternatives);
	entry->alternatives = copy_alternatives(message);
	table->lost |= message->alternatives_size && !entry->alternatives;
}

/* Applies the messages of a datagram. True: the last one of a dump was among them. */
static bool apply_all(struct table *table, const uint8_t *bytes, size_t size, bool *interrupted)
{
	while (size >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *header = (const void *)bytes;
		struct link_message message;

		if (header->nlmsg_len < sizeof(*header) || header->nlmsg_len > size)
			break;
		*interrupted |= (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (header->nlmsg_type == NLMSG_DONE)
			return true;
		if (link_message_parse(bytes, size, &message))
			apply(table, &message);
		const size_t step = NLMSG_ALIGN(header->nlmsg_len);
		bytes += step < size ? step : size;
		size -= step < size ? step : size;
	}
	return false;
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("link-table-wake-failed", log_str("error", strerror(errno)));
}

/* Called with `lock` held, after `current` has changed. */
static void signal_watches(void)
{
	for (size_t i = 0; i < watch_count; i++)
		signal_fd(watches[i]);
}

/* Takes over the notices that are queued. Called with `lock` held. */
static void take_notices(struct table *table)
{
	bool unused = false, changed = false;

	while (table->fd >= 0) {
		const ssize_t size = recv(table->fd, notice, sizeof(notice), MSG_DONTWAIT | MSG_TRUNC);

		if (size < 0 && (errno == ENOBUFS || errno == EINTR)) {
			table->lost |= errno == ENOBUFS;
			continue;
		}
		if (size <= 0)
			break;
		if ((size_t)size > sizeof(notice))
			table->lost = true;
		else
			apply_all(table, notice, (size_t)size, &unused);
		changed = true;
	}
	if (changed)
		signal_watches();
}

static void free_table(struct table *table)
{
	while (table->count)
		free(table->entries[--table->count].alternatives);
	free(table->entries);
	cleanup_close(&table->fd);
	*table = (struct table){.fd = -1};
}

/* --- reading all interfaces --- */

static int open_notices(void)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	const int bytes = QUEUE_BYTES;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0) /* needs CAP_NET_ADMIN */
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	const int r = -errno;
	close(fd);
	return r;
}

/* Called without `lock`. -EINTR: interfaces changed meanwhile, and some may be missing. */
static int dump(struct table *table)
{
	cleanup(cleanup_close) const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	cleanup(cleanup_free) uint8_t *reply = malloc(MESSAGE_BYTES);
	bool interrupted = false;
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
		struct nlattr attribute;
		uint32_t mask;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.link = {.ifi_family = AF_UNSPEC},
		.attribute = {.nla_type = IFLA_EXT_MASK, .nla_len = NLA_HDRLEN + sizeof(uint32_t)},
		.mask = RTEXT_FILTER_SKIP_STATS,
	};

	if (fd < 0)
		return -errno;
	if (!reply)
		return -ENOMEM;
	if (send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	for (;;) {
		const ssize_t size = recv(fd, reply, MESSAGE_BYTES, 0);
		const struct nlmsghdr *header = (const void *)reply;

		if (size < 0)
			return -errno;
		if ((size_t)size < sizeof(*header))
			return -EPROTO;
		if (header->nlmsg_type == NLMSG_ERROR)
			return (size_t)size < NLMSG_LENGTH(sizeof(struct nlmsgerr))
				       ? -EPROTO
				       : ((const struct nlmsgerr *)(const void *)(reply + NLMSG_HDRLEN))->error;
		if (apply_all(table, reply, (size_t)size, &interrupted))
			return interrupted ? -EINTR : 0;
	}
}

static void clear(struct table *table)
{
	while (table->count)
		remove_entry(table, table->count - 1);
}

/* Makes a table, whose notices wait in its socket. Called without `lock`. */
static int make_table(struct table *table)
{
	int r = -EINTR;

	*table = (struct table){.fd = open_notices()};
	if (table->fd < 0)
		return table->fd;
	for (unsigned i = 0; i < DUMPS_MAX && r == -EINTR; i++) {
		clear(table);
		r = dump(table);
	}
	/* The notices of what has changed make up for it. */
	return r == -EINTR ? 0 : table->lost ? -ENOMEM : r;
}

static int replace_table(void)
{
	cleanup(free_table) struct table made = {.fd = -1};
	const int r = make_table(&made);

	if (r < 0)
		return r;
	pthread_mutex_lock(&lock);
	take_notices(&made);
	const struct table old = current;
	current = made;
	made = old;
	signal_watches();
	pthread_mutex_unlock(&lock);
	return 0;
}

/* --- the thread --- */

static void wake(void)
{
	signal_fd(wake_fd);
}

static void *keep(void *unused)
{
	uint64_t not_before_ns = 0; /* when to list again after a failure */

	(void)unused;
	for (;;) {
		uint64_t count;

		pthread_mutex_lock(&lock);
		take_notices(&current);
		const bool end = stop, lost = current.lost;
		struct pollfd fds[] = {{.fd = current.fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
		pthread_mutex_unlock(&lock);
		if (end)
			return NULL;
		if (lost && clock_boottime_ns() >= not_before_ns) {
			const int r = replace_table();

			not_before_ns = r < 0 ? clock_boottime_ns() + RETRY_MS * NS_PER_MS : 0;
			if (r < 0)
				log_error("interfaces-not-listed", log_str("error", strerror(-r)));
			else
				log_notice("interfaces-listed-again");
			continue;
		}
		const int ready = poll(fds, 2, lost ? RETRY_MS : -1);
		if (ready > 0 && fds[1].revents && read(wake_fd, &count, sizeof(count)) < 0)
			continue;
	}
}

int link_table_start(void)
{
	sigset_t all, previous;

	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		return -errno;
	stop = false;
	int r = replace_table();
	if (r == 0) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &previous);
		r = -pthread_create(&thread, NULL, keep, NULL);
		pthread_sigmask(SIG_SETMASK, &previous, NULL);
	}
	if (r == 0)
		pthread_setname_np(thread, "pcapd-links");
	pthread_mutex_lock(&lock);
	started = r == 0;
	if (r < 0)
		free_table(&current);
	pthread_mutex_unlock(&lock);
	if (r < 0)
		cleanup_close(&wake_fd);
	return r;
}

void link_table_stop(void)
{
	pthread_mutex_lock(&lock);
	const bool was_started = started;
	started = false;
	stop = true;
	pthread_mutex_unlock(&lock);
	if (!was_started)
		return;
	wake();
	pthread_join(thread, NULL);
	free_table(&current);
	cleanup_close(&wake_fd);
}

/* --- reading the table --- */

/* Called with `lock` held. False: there is no table. */
static bool refresh(void)
{
	if (!started)
		return false;
	const bool was_lost = current.lost;
	take_notices(&current);
	if (current.lost && !was_lost)
		wake();
	return true;
}

static bool has_alternative(const struct entry *entry, const char *name)
{
	const char *at = entry->alternatives;

	while (at && *at && strcmp(at, name) != 0)
		at += strlen(at) + 1;
	return at && *at;
}

int link_table_find(const char *name, int *index)
{
	const struct entry *found = NULL;

	pthread_mutex_lock(&lock);
	const bool there = refresh();
	for (size_t i = 0; there && i < current.count; i++) {
		const struct entry *entry = &current.entries[i];

		if (has_alternative(entry, name) && (!found || entry->changed > found->changed))
			found = entry;
	}
	if (found)
		*index = found->link.index;
	pthread_mutex_unlock(&lock);
	return found ? 0 : there ? -ENODEV : -ENOTCONN;
}

struct name_query {
	struct nlmsghdr header;
	struct ifinfomsg link;
	struct nlattr attribute;
	char name[NLA_ALIGN(NETWORK_INTERFACE_ANY_NAME_MAX + 1)];
};

struct name_reply {
	struct nlmsghdr header;
	union {
		struct nlmsgerr error;
		struct ifinfomsg link;
	};
};

/* Kernels before 5.5 know no alternative names and find the query invalid. */
static int read_reply(const struct name_reply *reply, ssize_t size, int *index)
{
	if (size < (ssize_t)NLMSG_LENGTH(sizeof(reply->link)))
		return -EPROTO;
	if (reply->header.nlmsg_type == NLMSG_ERROR && reply->error.error)
		return reply->error.error == -EINVAL ? -ENODEV : reply->error.error;
	if (reply->header.nlmsg_type != RTM_NEWLINK)
		return -EPROTO;
	*index = reply->link.ifi_index;
	return 0;
}

/* The kernel answers before send(2) returns. */
static int ask(const char *name, int *index)
{
	cleanup(cleanup_close) const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct name_query query = {
		.header = {.nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
		.attribute = {.nla_type = IFLA_ALT_IFNAME, .nla_len = (uint16_t)(NLA_HDRLEN + strlen(name) + 1)},
	};
	struct name_reply reply = {0};

	if (fd < 0)
		return -errno;
	snprintf(query.name, sizeof(query.name), "%s", name);
	query.header.nlmsg_len =
		(uint32_t)(offsetof(struct name_query, attribute) + NLA_ALIGN(query.attribute.nla_len));
	if (send(fd, &query, query.header.nlmsg_len, 0) < 0)
		return -errno;
	const ssize_t size = recv(fd, &reply, sizeof(reply), 0);
	return size < 0 ? -errno : read_reply(&reply, size, index);
}

int link_table_ask(const char *name, int *index)
{
	int known = 0;

	if (strlen(name) > NETWORK_INTERFACE_ANY_NAME_MAX)
		return -ENODEV;
	int r = ask(name, index);
	if (r == 0 && link_table_find(name, &known) != -ENOTCONN && known != *index) {
		r = replace_table();
		wake(); /* the thread waits for the old table's notices */
	}
	return r;
}

int link_table_list(struct link_entry **list, size_t *count)
{
	pthread_mutex_lock(&lock);
	const bool there = refresh();
	struct link_entry *links = there ? calloc(current.count + 1, sizeof(*links)) : NULL;
	for (size_t i = 0; links && i < current.count; i++)
		links[i] = current.entries[i].link;
	*list = links;
	*count = links ? current.count : 0;
	pthread_mutex_unlock(&lock);
	return !there ? -ENOTCONN : links ? 0 : -ENOMEM;
}

/* --- waiting for changes --- */

int link_table_watch(void)
{
	int fd = -ENOTCONN;

	pthread_mutex_lock(&lock);
	if (started) {
		fd = watch_count < WATCHES_MAX ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -ENOSPC;
		if (fd == -1)
			fd = -errno;
	}
	if (fd >= 0)
		watches[watch_count++] = fd;
	pthread_mutex_unlock(&lock);
	return fd;
}

bool link_table_has_changed(int fd)
{
	uint64_t changes;

	return read(fd, &changes, sizeof(changes)) > 0;
}

void link_table_unwatch(int *fd)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; *fd >= 0 && i < watch_count; i++) {
		if (watches[i] == *fd)
			watches[i] = watches[--watch_count];
	}
	cleanup_close(fd);
	pthread_mutex_unlock(&lock);
	*fd = -1;
}
