/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trigger: lines, each a message, from clients of a TCP or unix stream socket (Suricata's EVE, syslog). A client may
 * write a message's length and a blank before it instead of ending it with a newline (RFC 6587), as syslog over TCP
 * does. Loop thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "trigger/trigger.h"

struct event_base;
struct line_input;

#define LINE_BYTES_MAX (1024 * 1024) /* a client with a longer message is cut off */
#define LINE_CLIENTS_MAX 64	     /* at once; others wait until one leaves */

/* Listens at an absolute path, or at "host:port" with a numeric host. NULL and `err` on failure. */
struct line_input *line_input_new(struct event_base *loop, const char *address, struct trigger_handler handler,
				  struct error *err);
void line_input_free(struct line_input *input);

CLEANUP_DEFINE(line_input, struct line_input, line_input_free)
