/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: SFTP, by libcurl on threads of its own. The server's key is always checked. A file is written under a temporary
 * name and renamed when it is whole; it never replaces another one.
 */
#pragma once

#include <stdint.h>

struct event_base;
struct secret;
struct sink;

struct sftp_sink_options {
	const char *host;
	uint16_t port; /* 0: 22 */
	const char *user;
	const char *key_file;	     /* the user's private key */
	struct secret *passphrase;   /* of the key; "": none */
	const char *known_hosts;     /* a file, as ssh(1) has it; "": host_key_sha256 tells */
	const char *host_key_sha256; /* base64, "SHA256:" before it or not */
	const char *path;	     /* with placeholders (base/name_template.h), without objections to them */
	uint64_t timeout_ns;	     /* for one upload; 0: none (a slow one still ends) */
	uint64_t min_speed;	     /* bytes a second, over any window; 0: 1 KiB/s */
	uint64_t window_ns;	     /* 0: 60 s */
};

/* Name and options are copied, except for the secret, which must outlive the sink. NULL on ENOMEM. */
struct sink *sftp_sink_new(struct event_base *loop, const char *name, const struct sftp_sink_options *options);
