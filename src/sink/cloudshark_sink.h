/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: CloudShark's upload API (POST <scheme>://<host>[:port]/api/v1/<token>/upload). Streams from memory through one
 * libcurl multi handle on the loop. If the answer to a whole upload was lost, the next attempt first asks whether the
 * file is there (GET …/search). The token never reaches a log, an event or an error text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct secret;
struct sink;

struct cloudshark_sink_options {
	const char *scheme, *host, *token;
	struct secret *secret;	  /* not copied, must outlive the sink; used instead of `token` unless NULL */
	struct secret *customers; /* likewise: a text of tokens by customer (base/customer_tokens.h), used before both;
				     NULL: none */
	const char *public_url;	  /* what links begin with; NULL or "": the server's address */
	bool filter_links;	  /* links have the request's filter as a display filter, where there is one */
	uint16_t port;		  /* 0: the scheme's default */
	uint64_t timeout_ns;	  /* for one upload; 0: none (a slow one still ends) */
	uint64_t min_speed;	  /* bytes a second, over any window; a slower upload is aborted; 0: 1 KiB/s */
	uint64_t window_ns;	  /* 0: 60 s */
	bool verify;		  /* TLS: certificate and host name */
	const char *ca_file;	  /* NULL or "": the system's authorities */
};

/* Name and options are copied. NULL on ENOMEM. */
struct sink *cloudshark_sink_new(struct event_base *loop, const char *name,
				 const struct cloudshark_sink_options *options);
