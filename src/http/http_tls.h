/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS for the server. A thread of its own does the handshakes, encrypts and decrypts, so that no handshake holds up the
 * loop. It connects each TCP connection with a local socket, over which the server speaks plain HTTP. Loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define HTTP_TLS_HANDSHAKES_PER_S 100	  /* in all; further ones wait */
#define HTTP_TLS_PEER_HANDSHAKES_PER_S 20 /* of one peer's network */
#define HTTP_TLS_PEER_HANDSHAKES_BURST 40 /* at once, after a pause */
#define HTTP_TLS_PEERS_MAX 1024		  /* networks whose rates are remembered, the most recent ones */

struct http_slot;
struct http_tls;

struct http_tls_counts {
	uint64_t delayed, failed; /* handshakes */
};

/* Reads certificate and key (PEM), and starts the thread. NULL and `err` on failure. */
struct http_tls *http_tls_new(const char *cert_file, const char *key_file, struct error *err);

/* Sends what the kernel takes at once of what the server has written, and closes all connections. */
void http_tls_free(struct http_tls *tls);

/*
 * Takes over a TCP connection, and a hold of its slot. Reads the certificate again if its files have changed; if the
 * new one can't be read, the older one stays. Returns the server's end of the local socket, or a negative errno. If the
 * server closes that, or the handshake fails, the connection ends.
 */
warn_unused int http_tls_start(struct http_tls *tls, int fd, struct http_slot *slot);

/* Counted since the start. */
struct http_tls_counts http_tls_counts(const struct http_tls *tls);

CLEANUP_DEFINE(http_tls, struct http_tls, http_tls_free)
