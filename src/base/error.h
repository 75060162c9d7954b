/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors. A function returns 0 (or its documented result) or a negative errno. If users read its errors, it also fills
 * a struct error: one line with the fault and its place.
 *
 * Callers may branch on these codes, which mean the same in every module, and on those that a function's header adds.
 * Every other code only means failure; the text gives the reason.
 *
 *   -EINVAL      bad input: the same input fails again
 *   -E2BIG       more than one request may ask for
 *   -EMSGSIZE    longer than a named cap: a buffer's, a block's, a file's
 *   -ERANGE      a number out of range
 *   -ESTALE      too old
 *   -ENODEV      no such interface, or it is gone
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
 * error_http_status() maps them to the control API's HTTP statuses.
 */
#pragma once

#include "cleanup.h"

struct error {
	char text[1024];
};

/* Formats the text (truncated to fit) and returns `code`: `return error_set(err, -EINVAL, …)`. `err` may be NULL. */
int error_set(struct error *err, int code, const char *fmt, ...) printf_like(3, 4);

/* The HTTP status of a negative errno, from 400 (bad request) to 503 (stopping); 500 if no other fits. */
unsigned error_http_status(int code);

/* Prepends "<formatted>: " to the text. `err` may be NULL. */
void error_prefix(struct error *err, const char *fmt, ...) printf_like(2, 3);
