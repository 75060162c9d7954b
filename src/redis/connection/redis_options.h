/* SPDX-License-Identifier: BSD-2-Clause */
/* Which Redis to connect to, and how. The caller fills it in; a connection keeps a copy. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct redis_links;
struct secret;

struct redis_options {
	const char *host;
	uint16_t port;
	char *const *nodes; /* "host:port" each: more nodes of a Cluster */
	size_t node_count;
	bool cluster;		/* MOVED and ASK are followed, to wherever they name; also where there are nodes */
	char *const *sentinels; /* "host:port" each; if there are any, host, port and nodes are not connected to */
	size_t sentinel_count;
	const char *master;	       /* its name at the Sentinels */
	const char *sentinel_username; /* like username and auth, for the Sentinels */
	const char *sentinel_auth;
	const char *username;  /* NULL or "": default user */
	const char *auth;      /* NULL or "": none */
	struct secret *secret; /* not copied, must outlive the link; used instead of `auth` unless NULL */
	struct secret *sentinel_secret;
	bool tls;	       /* to the Sentinels as well */
	const char *tls_name;  /* NULL or "": none; see redis_link.h */
	const char *ca_file;   /* NULL or "": the system's */
	const char *cert_file; /* client certificate, NULL or "": none */
	const char *key_file;
	/* A replica will do, and ROLE isn't asked. Else, unless the server refuses to tell its role, only a master
	 * will; in a Cluster any server. */
	bool any_role;
	struct redis_links
		*links; /* not copied, must outlive the link: all leave a replaced master. NULL: this one only */
	bool quiet;	/* no key or option of it was given: a server that was never up is logged once only */
	uint64_t backoff_max_ns;   /* 0: 30 s */
	uint64_t ping_interval_ns; /* 0: 10 s */
	uint64_t ping_timeout_ns;  /* 0: 5 s; a connection silent for this long after a PING is dropped */
	/* How long commands may block (XREADGROUP … BLOCK). A blocked server owes no answer to a PING, so this extends
	 * ping_timeout_ns. 0: none block. */
	uint64_t block_ns;
};

/* Whether only a server that confirms to be the master will do. */
static inline bool redis_options_need_master(const struct redis_options *options)
{
	return options->sentinel_count > 0;
}

/* Copies the options and their strings, and fills in defaults. 0 or -ENOMEM; call redis_options_free either way. */
warn_unused int redis_options_copy(struct redis_options *copy, const struct redis_options *options);

/* Wipes the passwords. */
void redis_options_free(struct redis_options *options);
