/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS for connections that we accept. A thread of its own does the handshakes, encrypts and decrypts, so that no
 * handshake holds up the loop. It connects each TCP connection with a local socket, whose other end is the user's: what
 * goes over that is plain. Loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define TLS_HANDSHAKES_PER_S 100       /* in all; further ones wait */
#define TLS_PEER_HANDSHAKES_PER_S 20   /* of one peer's network */
#define TLS_PEER_HANDSHAKES_BURST 40   /* at once, after a pause */
#define TLS_PEERS_MAX 1024	       /* networks whose rates are remembered, the most recent ones */
#define TLS_HANDSHAKE_TIMEOUT_MS 10000 /* from accept, waiting included */
#define TLS_LINGER_S 30		       /* for a peer that takes nothing of what was written last */

struct connection_slot;
struct tls_server;

struct tls_server_counts {
	uint64_t delayed, failed; /* handshakes */
};

struct tls_server_options {
	const char *cert_file, *key_file; /* PEM; copied */
	const char *ca_file; /* PEM: clients must have a certificate of these authorities; copied; NULL or "": none */
	/* A handshake failed. From the TLS thread. NULL: nothing to do. */
	void (*handshake_failed)(void *ctx, const char *network, const char *error);
	/* Files have changed; `error`: why the certificate from before stays, NULL: the new one is used. From
	 * tls_server_start(). */
	void (*certificate_changed)(void *ctx, const char *cert_file, const char *error);
	void *ctx;		       /* of both */
	unsigned handshake_timeout_ms; /* for tests; 0: as above */
};

/* Reads certificate, key and authorities, and starts the thread. NULL and `err` on failure. */
struct tls_server *tls_server_new(const struct tls_server_options *options, struct error *err);

/* Sends what the kernel takes at once of what the user has written, and closes all connections. */
void tls_server_free(struct tls_server *tls);

/*
 * Takes over a TCP connection, and a hold of its slot. Reads the files again if they have changed; if the new ones
 * can't be read, the older ones stay. Returns the user's end of the local socket, or a negative errno. If the
 * user closes that, or the handshake fails, the connection ends.
 */
warn_unused int tls_server_start(struct tls_server *tls, int fd, struct connection_slot *slot);

/* Counted since the start. */
struct tls_server_counts tls_server_counts(const struct tls_server *tls);

CLEANUP_DEFINE(tls_server, struct tls_server, tls_server_free)
