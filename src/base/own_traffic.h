/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This process's own TCP connections: clients register each here, and a recorder can leave that traffic out. They are
 * kept as pairs of addresses with the server's port, not as connections, so that the set seldom changes. Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

#define OWN_TRAFFIC_MAX 16 /* pairs; a new one replaces the oldest */
#define OWN_TRAFFIC_TEXT_SIZE 2048

/* `fd`: a TCP socket, the client's end. Ignored if it is not connected yet. */
void own_traffic_add(int fd);

/* The pairs as a pcap-filter(7) expression; "" if there are none. Returns `text`. */
const char *own_traffic_filter(char text[static OWN_TRAFFIC_TEXT_SIZE]);

/* Sets the one callback for new pairs (NULL: none). It must not call this module. */
void own_traffic_watch(void (*changed)(void *ctx), void *ctx);
