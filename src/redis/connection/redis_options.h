/* SPDX-License-Identifier: BSD-2-Clause */
/* Which Redis to connect to, and how: what a caller fills in, and the copy that a connection keeps. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct redis_options {
	const char *host;
	uint16_t port;
	char *const *nodes; /* "host:port" each: more nodes of a Cluster */
	size_t node_count;
	char *const *sentinels; /* "host:port" each; with them neither host and port nor nodes are connected to */
	size_t sentinel_count;
	const char *master;	       /* the name that the Sentinels know it by */
	const char *sentinel_username; /* like username and auth, at the Sentinels */
	const char *sentinel_auth;
	const char *username;  /* NULL or "": default user */
	const char *auth;      /* NULL or "": none */
	bool tls;	       /* at the Sentinels as well */
	const char *tls_name;  /* NULL or "": none; see redis_link.h */
	const char *ca_file;   /* NULL or "": the system's */
	const char *cert_file; /* client certificate, NULL or "": none */
	const char *key_file;
	bool quiet; /* nobody asked for Redis (embedded form): a server that was never there is mentioned once only */
	uint64_t backoff_max_ns;   /* 0: 30 s, with Sentinels 1 s */
	uint64_t ping_interval_ns; /* 0: 10 s */
	uint64_t ping_timeout_ns;  /* 0: 5 s; a connection that answers nothing for so long after a PING is dropped */
	uint64_t block_ns; /* commands may block for so long (XREADGROUP … BLOCK): the server then owes no answer to a
			    * PING, which extends its timeout by this. 0: none do */
};

/* A copy that owns its strings, with the defaults filled in. 0 or -ENOMEM; redis_options_free either way. */
warn_unused int redis_options_copy(struct redis_options *copy, const struct redis_options *options);

/* The passwords are wiped. */
void redis_options_free(struct redis_options *options);
