/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hears from the kernel (rtnetlink) that some interface was added, removed, renamed or went up or down. What exactly is
 * not told: whoever hears it looks.
 */
#pragma once

#include <stdbool.h>

/* A non-blocking descriptor, readable when there is news; -errno on failure. Close it with close(2). */
int link_watch_open(void);

/* Takes the news off the descriptor. True: something about an interface has changed, or may have (the kernel lost
 * messages). */
bool link_watch_read(int fd);
