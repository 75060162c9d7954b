/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signed webhooks: an HMAC-SHA256 of the raw body, or of "TIME:BODY", in the headers that senders use. TIME is in Unix
 * seconds. Loop thread.
 *
 *     X-Grafana-Alerting-Signature: HEX    TIME in X-Grafana-Alerting-Timestamp, or none
 *     X-Pcapdaemon-Signature: HEX          TIME in X-Pcapdaemon-Timestamp, or none
 *     X-PagerDuty-Signature: v1=HEX,…      no TIME; one of them must fit
 *     X-Hub-Signature-256: sha256=HEX      no TIME
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "config/config.h"

#define ALERT_SIGNATURE_DIGITS 64
#define ALERT_SIGNATURE_KEYS_MAX 8     /* tried for one message that does not name its key */
#define ALERT_SIGNATURE_MACS_MAX 8     /* in one header */
#define ALERT_SIGNATURES_SEEN_MAX 4096 /* remembered; the oldest are forgotten first */

/* The headers of signatures; the last one is NULL. */
extern const char *const alert_signature_headers[];

struct alert_signature_rules {
	struct config_keyring *keys;
	uint64_t max_age_ns; /* how far off TIME may be, either way */
	bool untimed;	     /* signatures without TIME are good, too */
};

struct alert_signature_message {
	/* The header's value; NULL: it was not sent, or more than once. */
	const char *(*header)(const void *ctx, const char *name);
	const void *ctx;
	const char *key; /* the key's name; NULL: any */
	const void *body;
	size_t size;
};

struct alert_signature {
	char key[CONFIG_KEY_NAME_MAX + 1];
	char mac[ALERT_SIGNATURE_DIGITS + 1];
};

/* `now_ns`: real time. 0, -EINVAL with `err`, which shows no secret, or -ENOMEM. */
warn_unused int alert_signature_verify(const struct alert_signature_rules *rules,
				       const struct alert_signature_message *message, uint64_t now_ns,
				       struct alert_signature *signature, struct error *err);

/* --- the memory of signatures that were used --- */

struct alert_signatures;

/* For `max_age_ns` each way. NULL on ENOMEM. */
struct alert_signatures *alert_signatures_new(uint64_t max_age_ns);
void alert_signatures_free(struct alert_signatures *signatures);

/* `now_ns`: boot time. */
bool alert_signatures_has(const struct alert_signatures *signatures, const struct alert_signature *signature,
			  uint64_t now_ns);
void alert_signatures_add(struct alert_signatures *signatures, const struct alert_signature *signature,
			  uint64_t now_ns);

CLEANUP_DEFINE(alert_signatures, struct alert_signatures, alert_signatures_free)
