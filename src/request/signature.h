/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signed requests: `sig` is "KEY:TIME:NONCE:MAC". MAC is the HMAC-SHA256, in hexadecimal, of "KEY:TIME:NONCE:" and the
 * request without `sig` in the form of RFC 8785. It shows who sent the request; that it came only once is for others to
 * see to (job/nonces.h).
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "request/request.h"

struct config_key;
struct config_requests;

#define SIGNATURE_FIELD "sig"
#define SIGNATURE_MAC_BYTES REQUEST_MAC_BYTES
#define SIGNATURE_NONCE_MAX 64 /* bytes */

struct signature {
	const struct config_key *key; /* of the current set of rules->keyring */
	uint64_t time_s;	      /* Unix seconds by the sender's clock */
	uint8_t mac[SIGNATURE_MAC_BYTES];
};

/*
 * Takes `sig` out of the message and verifies it: the key is one of `rules`, the time is at most
 * rules->signature_age_ns from `arrival_ns` (real time), the MAC fits. 0, or -EINVAL with `err`.
 */
warn_unused int signature_verify(json_t *message, const struct config_requests *rules, uint64_t arrival_ns,
				 struct signature *signature, struct error *err);

/* Sets `sig` of the message, for this moment and with a fresh nonce. 0 or -errno with `err`. */
warn_unused int signature_sign(json_t *message, const struct config_key *key, struct error *err);
