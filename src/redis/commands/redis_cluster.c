/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC16 as in XMODEM (CCITT): polynomial 0x1021, not reflected, not inverted. Keys are a few dozen bytes, so it works
 * bit by bit, without a table. */
#include "redis/commands/redis_cluster.h"

#include <string.h>

static uint16_t crc16(const char *bytes, size_t size)
{
	unsigned crc = 0;

	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned)(unsigned char)bytes[i] << 8;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
	}
	return (uint16_t)crc;
}

uint16_t redis_cluster_slot(const char *key, size_t size)
{
	const char *open = memchr(key, '{', size), *close;

	if (open) {
		open++;
		close = memchr(open, '}', size - (size_t)(open - key));
		if (close && close > open)
			return crc16(open, (size_t)(close - open)) % REDIS_CLUSTER_SLOTS;
	}
	return crc16(key, size) % REDIS_CLUSTER_SLOTS;
}

static const char *skip_prefix(const char *text, const char *prefix)
{
	size_t size = strlen(prefix);

	return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

/* Reads the slot in "3999 …". Returns the text after it, NULL if there is no valid slot. */
static const char *parse_slot(const char *text, uint16_t *slot)
{
	unsigned value = 0;
	size_t digits = 0;

	for (; text[digits] >= '0' && text[digits] <= '9' && digits < 5; digits++)
		value = value * 10 + (unsigned)(text[digits] - '0');
	if (digits == 0 || text[digits] != ' ' || value >= REDIS_CLUSTER_SLOTS)
		return NULL;
	*slot = (uint16_t)value;
	return text + digits + 1;
}

/* A server that does not know its own name sends "?" or nothing (redis.conf: "cluster-preferred-endpoint-type"). */
static bool parse_endpoint(const char *text, struct redis_endpoint *endpoint)
{
	const char *colon = strrchr(text, ':');

	if (colon && (colon == text || (colon == text + 1 && *text == '?'))) {
		if (redis_endpoint_set("?", colon + 1, endpoint) < 0)
			return false;
		endpoint->host[0] = '\0';
		return true;
	}
	return redis_endpoint_parse(text, endpoint) == 0;
}

bool redis_redirect_parse(const char *error, struct redis_redirect *redirect)
{
	struct redis_redirect read = {.kind = REDIS_MOVED};
	const char *rest = skip_prefix(error, "MOVED ");

	if (!rest) {
		read.kind = REDIS_ASK;
		rest = skip_prefix(error, "ASK ");
	}
	if (rest)
		rest = parse_slot(rest, &read.slot);
	if (!rest || !parse_endpoint(rest, &read.endpoint))
		return false;
	*redirect = read;
	return true;
}

bool redis_error_is_transient(const char *error)
{
	static const char *const words[] = {
		"TRYAGAIN ", "CLUSTERDOWN ", "LOADING ", "MASTERDOWN ", "READONLY ", "BUSY ", "UNBLOCKED ",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (skip_prefix(error, words[i]))
			return true;
	return false;
}
