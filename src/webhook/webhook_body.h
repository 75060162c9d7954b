/* SPDX-License-Identifier: BSD-2-Clause */
/* What a webhook sends: the body for an event, and its signature. Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"

struct event;

enum webhook_format {
	WEBHOOK_EVENT, /* the event's JSON */
	WEBHOOK_SLACK, /* {"text":"…"}, which Slack, Mattermost, Rocket.Chat and Google Chat take */
	WEBHOOK_TEAMS, /* an adaptive card */
};

/* "event", "slack", "teams"; false: another text. */
bool webhook_format_parse(const char *text, enum webhook_format *format);

#define WEBHOOK_TEXT_MAX 3000 /* bytes of a sentence for chats; a longer one is cut */

/* Appends the sentence: what became of what, where the file is, or why it is nowhere. 0 or the buffer's error. */
warn_unused int webhook_text(const struct event *event, struct buffer *out);

/* The body; `json` is the event's. The caller frees; NULL on ENOMEM. */
char *webhook_body(enum webhook_format format, const struct event *event, const char *json);

#define WEBHOOK_SIGNATURE_SIZE 96

/*
 * "t=SECONDS,v1=HEX": HMAC-SHA256 with the key over "SECONDS.BODY", in hexadecimal. False if OpenSSL fails.
 */
warn_unused bool webhook_sign(const char *key, uint64_t time_s, const char *body,
			      char signature[static WEBHOOK_SIGNATURE_SIZE]);
