/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which TCP connections are this process's own: whoever connects to a server says so, and a recorder can leave that
 * traffic out. Remembered by the pair of addresses and the server's port, not by connection, so that it seldom changes.
 * Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

#define OWN_TRAFFIC_MAX 16 /* pairs; the oldest is forgotten */
#define OWN_TRAFFIC_TEXT_SIZE 2048

/* `fd`: a connected TCP socket of ours, as client. One that is not connected yet is passed over. */
void own_traffic_add(int fd);

/* The pairs as a pcap-filter(7) expression; "" if there are none. Returns `text`. */
const char *own_traffic_filter(char text[static OWN_TRAFFIC_TEXT_SIZE]);

/* Who is told when a pair is new. One; NULL: nobody. */
void own_traffic_watch(void (*changed)(void *ctx), void *ctx);
