/* SPDX-License-Identifier: BSD-2-Clause */
/* Trigger: datagrams, each a message, over UDP or a unix socket (Suricata's EVE, syslog). Loop thread. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "trigger/trigger.h"

struct datagram_input;
struct event_base;

#define DATAGRAM_BYTES_MAX (256 * 1024) /* longer ones are messages with a `refusal` */

/* Binds a unix socket at an absolute path, which replaces a socket that is there already, or UDP at "host:port" with a
 * numeric host. NULL and `err` on failure. */
struct datagram_input *datagram_input_new(struct event_base *loop, const char *address, struct trigger_handler handler,
					  struct error *err);
void datagram_input_free(struct datagram_input *input); /* removes the unix socket */

CLEANUP_DEFINE(datagram_input, struct datagram_input, datagram_input_free)
