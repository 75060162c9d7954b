/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS to a Redis server: who may be on the other end, and what went wrong in words. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct redis_options;
struct ssl_ctx_st;
struct ssl_st;

/* TLS 1.2 or later, the peer verified against ca_file or the system's store, with the client certificate if one is
 * given. Reads the files. NULL with the text in `err`. */
struct ssl_ctx_st *redis_tls_context(const struct redis_options *options, struct error *err);

/* One connection's state: only a certificate for `host` (name or address) will do, or one for the name
 * `alternative_name` (NULL,
 * "" or an address: none). NULL with the text in `err`. */
struct ssl_st *redis_tls_session(struct ssl_ctx_st *context, const char *host, const char *alternative_name,
				 struct error *err);

/* The TLS reason of a failure that just happened on this thread: the verification's verdict or OpenSSL's last error.
 * False: it was none of TLS's. */
bool redis_tls_failure(const struct ssl_st *session, struct error *err);
