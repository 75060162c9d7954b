/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trigger: lines, each a message, from clients of a TCP, TLS or unix stream socket (Suricata's EVE, syslog). A client
 * may write a message's length before it instead of ending it with a newline (line_frame.h). A client with a longer
 * message than LINE_BYTES_MAX is dropped, after a message with a `refusal`. Loop thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "trigger/trigger.h"

struct event_base;
struct line_input;

#define LINE_CLIENTS_MAX 64	 /* at once; others wait until one leaves */
#define LINE_PEER_CLIENTS_MAX 32 /* over TCP, of one address (IPv6: one /64); others are dropped */

/* PEM files; `ca_file`: clients must have a certificate of these authorities; NULL or "": none. Copied. */
struct line_input_tls {
	const char *cert_file, *key_file, *ca_file;
};

/* Listens at an absolute path, or at "host:port" with a numeric host; `tls`: NULL: none. NULL and `err` on failure. */
struct line_input *line_input_new(struct event_base *loop, const char *address, const struct line_input_tls *tls,
				  struct trigger_handler handler, struct error *err);
void line_input_free(struct line_input *input);

CLEANUP_DEFINE(line_input, struct line_input, line_input_free)
