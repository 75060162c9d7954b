/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of alerts as typed text. An alert comes from outside: of its text nothing enters a filter, a node or an
 * interface but what a type prints, and a type prints only canonical tokens. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "alert/alert_path.h"
#include "base/cleanup.h"

enum alert_type {
	ALERT_TEXT,	 /* one line of at most ALERT_TEXT_SIZE - 1 bytes; control characters become spaces */
	ALERT_IP,	 /* an IPv4 or IPv6 address */
	ALERT_CIDR,	 /* a network: host bits are cleared */
	ALERT_PORT,	 /* 1 to 65535, or what follows the last colon of "host:9100" */
	ALERT_PROTO,	 /* a protocol that pcap-filter(7) knows, by name or number: tcp udp icmp icmp6 … */
	ALERT_MAC,	 /* 02:00:00:00:00:01 */
	ALERT_INT,	 /* a decimal integer */
	ALERT_HOST,	 /* a host name or address: "host:9100", "[::1]:9100" and URLs lose all else */
	ALERT_TIME,	 /* RFC 3339, or Unix seconds, milliseconds, microseconds or nanoseconds → RFC 3339, UTC */
	ALERT_INTERFACE, /* an interface's name */
};

#define ALERT_TYPE_NONE (-1)

/* "ip" → ALERT_IP; ALERT_TYPE_NONE: no such type. */
int alert_type_find(const char *name);
const char *alert_type_name(enum alert_type type);

/* The value as the type prints it. 0, or -EINVAL: it is none of that type. */
warn_unused int alert_value_print(enum alert_type type, const json_t *value, char text[static ALERT_TEXT_SIZE]);

/* The same of text. `text` and `from` may not overlap. */
warn_unused int alert_value_print_text(enum alert_type type, const char *from, char text[static ALERT_TEXT_SIZE]);

/* Reads ALERT_TIME. 0 or -EINVAL. */
warn_unused int alert_value_time(const json_t *value, uint64_t *realtime_ns);
