/* SPDX-License-Identifier: BSD-2-Clause */
/* One table for the whole process, whose sockets it describes. */
#include "base/own_traffic.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

struct pair {
	char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN];
	unsigned port;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pair pairs[OWN_TRAFFIC_MAX];
static unsigned pair_count;
static void (*watcher)(void *ctx);
static void *watcher_ctx;

/* Writes an address as text, an IPv4-mapped one as IPv4. Returns the port; 0: not an IP address. */
static unsigned read_address(const struct sockaddr_storage *address, char text[static INET6_ADDRSTRLEN])
{
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;

		inet_ntop(AF_INET, &v4->sin_addr, text, INET6_ADDRSTRLEN);
		return ntohs(v4->sin_port);
	}
	if (address->ss_family != AF_INET6)
		return 0;
	const struct sockaddr_in6 *v6 = (const void *)address;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, text, INET6_ADDRSTRLEN);
	return ntohs(v6->sin6_port);
}

static bool read_pair(int fd, struct pair *pair)
{
	struct sockaddr_storage local = {0}, remote = {0};
	socklen_t size = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &size) < 0)
		return false;
	size = sizeof(remote);
	if (getpeername(fd, (struct sockaddr *)&remote, &size) < 0)
		return false;
	pair->port = read_address(&remote, pair->remote);
	return pair->port && read_address(&local, pair->local);
}

static bool is_known(const struct pair *pair)
{
	for (unsigned i = 0; i < pair_count; i++) {
		if (pairs[i].port == pair->port && strcmp(pairs[i].remote, pair->remote) == 0 &&
		    strcmp(pairs[i].local, pair->local) == 0)
			return true;
	}
	return false;
}

void own_traffic_add(int fd)
{
	struct pair pair = {0};

	if (!read_pair(fd, &pair))
		return;
	pthread_mutex_lock(&lock);
	const bool fresh = !is_known(&pair);
	if (fresh) {
		if (pair_count == OWN_TRAFFIC_MAX)
			memmove(pairs, pairs + 1, --pair_count * sizeof(*pairs));
		pairs[pair_count++] = pair;
		if (watcher)
			watcher(watcher_ctx);
	}
	pthread_mutex_unlock(&lock);
}

const char *own_traffic_filter(char text[static OWN_TRAFFIC_TEXT_SIZE])
{
	size_t used = 0;

	*text = '\0';
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < pair_count && used < OWN_TRAFFIC_TEXT_SIZE; i++)
		used += (size_t)snprintf(text + used, OWN_TRAFFIC_TEXT_SIZE - used,
					 "%s(tcp port %u and host %s and host %s)", i ? " or " : "", pairs[i].port,
					 pairs[i].remote, pairs[i].local);
	pthread_mutex_unlock(&lock);
	return text;
}

void own_traffic_watch(void (*changed)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&lock);
	watcher = changed;
	watcher_ctx = ctx;
	pthread_mutex_unlock(&lock);
}
