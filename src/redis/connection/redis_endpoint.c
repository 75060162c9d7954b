/* SPDX-License-Identifier: BSD-2-Clause */
/* Redis writes IPv6 addresses without brackets ("MOVED 7 ::1:7000"), people with them; both are read. What a server
 * sends ends up in logs and in getaddrinfo(), so hosts with odd characters or of odd length are rejected. */
#include "redis/connection/redis_endpoint.h"

#include <errno.h>
#include <string.h>

#define PORT_MAX 65535u

static int parse_port(const char *text, uint16_t *port)
{
	unsigned value = 0;
	size_t size = strlen(text);

	if (size < 1 || size > 5)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	if (value < 1 || value > PORT_MAX)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

static bool is_valid_host(const char *host, size_t size)
{
	if (size < 1 || size >= REDIS_HOST_SIZE)
		return false;
	for (size_t i = 0; i < size; i++)
		if (host[i] <= ' ' || host[i] >= 0x7f || strchr("[]\"/\\", host[i]))
			return false;
	return true;
}

static int set_endpoint(const char *host, size_t size, const char *port, struct redis_endpoint *endpoint)
{
	uint16_t number;

	if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
		host++;
		size -= 2;
	}
	if (!is_valid_host(host, size) || parse_port(port, &number) < 0)
		return -EINVAL;
	memcpy(endpoint->host, host, size);
	endpoint->host[size] = '\0';
	endpoint->port = number;
	return 0;
}

int redis_endpoint_set(const char *host, const char *port, struct redis_endpoint *endpoint)
{
	return set_endpoint(host, strlen(host), port, endpoint);
}

int redis_endpoint_parse(const char *text, struct redis_endpoint *endpoint)
{
	const char *colon = strrchr(text, ':');

	return colon ? set_endpoint(text, (size_t)(colon - text), colon + 1, endpoint) : -EINVAL;
}

bool redis_endpoint_equal(const struct redis_endpoint *first, const struct redis_endpoint *second)
{
	return first->port == second->port && strcmp(first->host, second->host) == 0;
}
