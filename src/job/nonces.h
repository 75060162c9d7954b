/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The signatures that were used: so that no signed request is taken twice, not even across a restart of the daemon.
 * Loop thread.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct nonces;
struct request;

#define NONCES_MAX 65536 /* signatures remembered; the oldest are forgotten first */

struct nonces_options {
	const char *path;    /* of the file that keeps them; "": none, memory only */
	uint64_t max_age_ns; /* how old a signature may be */
	uint64_t now_ns;     /* real time */
};

/*
 * If the file cannot be used, it logs that, and does without. NULL and `err` on ENOMEM.
 */
struct nonces *nonces_new(const struct nonces_options *options, struct error *err);
void nonces_free(struct nonces *nonces);

/*
 * Notes that the request's signature is used. `entry`: the id of the stream entry that it came with (the same entry may
 * come again, until it is acknowledged); NULL: none. 0, or with `err`: -EALREADY, it was used before; -ESTALE, it may
 * have been used before, in a time that is not remembered.
 */
warn_unused int nonces_use(struct nonces *nonces, const struct request *request, const char *entry, uint64_t now_ns,
			   struct error *err);

CLEANUP_DEFINE(nonces, struct nonces, nonces_free)
