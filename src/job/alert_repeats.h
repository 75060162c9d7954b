/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Alerts that are sent again. Alertmanager and Grafana do that if no answer came, and with each change of an alert's
 * group: what tells whether it is the same alert is its fingerprint, made of the labels, and when it began. Loop
 * thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct alert_repeats;

#define ALERT_REPEATS_MAX 4096 /* remembered; the oldest are forgotten first */
#define ALERT_REPEAT_S 600     /* how long after its last copy an alert that comes again is the same one */

/* NULL on ENOMEM. */
struct alert_repeats *alert_repeats_new(void);
void alert_repeats_free(struct alert_repeats *repeats);

/* What the alert is remembered by, for one rule; NULL: it cannot be told from others, or ENOMEM. Caller frees. */
char *alert_repeats_key(const char *rule, const json_t *alert, const char *format);

/* `key`: NULL: none. */
bool alert_repeats_has(struct alert_repeats *repeats, const char *key, uint64_t now_ns);
void alert_repeats_add(struct alert_repeats *repeats, const char *key, uint64_t now_ns);

/* Nothing came of the alert: its next copy counts as a new one. */
void alert_repeats_forget(struct alert_repeats *repeats, const char *key);

CLEANUP_DEFINE(alert_repeats, struct alert_repeats, alert_repeats_free)
