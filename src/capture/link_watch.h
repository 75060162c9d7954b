/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Learns from the kernel (rtnetlink) that some interface was added, removed or renamed, or went up or down. It does not
 * report which: the caller checks its interfaces.
 */
#pragma once

#include <stdbool.h>

/* Returns a non-blocking descriptor that is readable after a change, or -errno. Close it with close(2). */
int link_watch_open(void);

/* Drains the descriptor. True: an interface has changed, or may have (the kernel lost messages). */
bool link_watch_read(int fd);
