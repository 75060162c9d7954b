/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS to a Redis server: which certificates are accepted, and texts for failures. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct redis_options;
struct ssl_ctx_st;
struct ssl_st;

/* TLS 1.2 or later. Verifies the peer against ca_file or the system's store, and presents the client certificate if
 * there is one. Reads the files. NULL with the text in `err`. */
struct ssl_ctx_st *redis_tls_context(const struct redis_options *options, struct error *err);

/* One connection's state. Accepts only a certificate for `host` (name or address) or for the name `alternative_name`
 * (NULL, "" or an address: none). NULL with the text in `err`. */
struct ssl_st *redis_tls_session(struct ssl_ctx_st *context, const char *host, const char *alternative_name,
				 struct error *err);

/* Describes a TLS failure that just happened on this thread: the verification's result or OpenSSL's last error. False
 * if TLS is not the reason. */
bool redis_tls_failure(const struct ssl_st *session, struct error *err);
