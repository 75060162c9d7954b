/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors. A function returns 0 (or what it promises) or a negative errno; one whose errors users read fills a struct
 * error as well: one line that says what is wrong and where.
 *
 * Callers may branch on these codes, which mean the same in every module; what a function adds to them its header says.
 * Every other code means "it failed, the text says why".
 *
 *   -EINVAL      bad input: the same input fails again
 *   -E2BIG       more than one request may ask for
 *   -EMSGSIZE    longer than a named cap: a buffer's, a block's, a file's
 *   -ERANGE      a number out of range
 *   -ESTALE      too old
 *   -ENODEV      no such interface, or no longer
 *   -ENOENT      no such id, name or file
 *   -EEXIST      it exists already
 *   -EALREADY    done a moment ago
 *   -ENOSPC      every slot is taken: captures, interfaces, addresses
 *   -EDQUOT      over a rate or a customer's limit
 *   -EBUSY       in use
 *   -ENOBUFS     no room left within a limit: captured bytes, a queue
 *   -EAGAIN      try again later: no bytes yet, no thread
 *   -ENOMEM      out of memory
 *   -EMFILE      no file descriptor left (LimitNOFILE); -ENFILE: none in the whole system
 *   -ESHUTDOWN   stopping: nothing new starts
 *   -ECANCELED   abandoned before it finished
 *   -EREMOTEIO   the peer answered with an error, which is the text
 *   -ECONNRESET  the connection was lost before the answer came
 *   -ETIMEDOUT   no answer in time
 *   -EINTR       a signal asks the program to end
 *
 * The control API answers with error_http_status() of them.
 */
#pragma once

#include "cleanup.h"

struct error {
	char text[1024];
};

/* Formats the text (truncated to fit) and returns `code`, so that `return error_set(err, -EINVAL, …)` reads well. err
 * may be NULL. */
int error_set(struct error *err, int code, const char *fmt, ...) printf_like(3, 4);

/* What an error (a negative errno) is in HTTP: 400 for a bad request to 503 while stopping; 500 if nothing else fits.
 */
unsigned error_http_status(int code);

/* Puts "<formatted>: " in front of the text that is there. */
void error_prefix(struct error *err, const char *fmt, ...) printf_like(2, 3);
