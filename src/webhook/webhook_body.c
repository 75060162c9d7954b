/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chat gets one sentence, and a line for each destination. Names and reasons come from outside: in Slack's markup
 * "<", ">" and "&" are written as entities, so that no text can call a channel or hide a link.
 */
#include "webhook/webhook_body.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/utf8.h"
#include "event/event.h"

static const char *const formats[] = {[WEBHOOK_EVENT] = "event", [WEBHOOK_SLACK] = "slack", [WEBHOOK_TEAMS] = "teams"};

bool webhook_format_parse(const char *text, enum webhook_format *format)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (!strcmp(text, formats[i])) {
			*format = (enum webhook_format)i;
			return true;
		}
	}
	return false;
}

/* --- the sentence --- */

static int append_destination(const struct event_destination *destination, struct buffer *out)
{
	const char *where = destination->ok ? destination->url : destination->error;

	return buffer_printf(out, "\n%s: %s%s%s", destination->name, destination->ok ? "delivered" : "failed",
			     where ? (destination->ok ? " to " : ": ") : "", where ? where : "");
}

int webhook_text(const struct event *event, struct buffer *out)
{
	const char *what = event->capture ? event->capture : event->id;
	int r = buffer_printf(out, "%s: %s %s%s%s %s", event->node, event->capture ? "capture" : "request",
			      what ? what : "", event->interface ? " on " : "",
			      event->interface ? event->interface : "", event_kind_name(event->kind));

	if (r == 0 && event->reason)
		r = buffer_printf(out, " (%s)", event->reason);
	if (r == 0 && event->counted)
		r = buffer_printf(out, ": %llu packets, %llu bytes%s", (unsigned long long)event->packets,
				  (unsigned long long)event->bytes, event->window.complete ? "" : ", incomplete");
	if (r == 0 && event->customer)
		r = buffer_printf(out, ", customer %s", event->customer);
	if (r == 0 && event->alertid)
		r = buffer_printf(out, ", alert %s", event->alertid);
	for (size_t i = 0; r == 0 && i < event->destination_count; i++)
		r = append_destination(&event->destinations[i], out);
	return r;
}

/* With entities for Slack's markup. */
static int escape(const char *text, struct buffer *out)
{
	int r = 0;

	for (; *text && r == 0; text++)
		r = *text == '&'   ? buffer_append_string(out, "&amp;")
		    : *text == '<' ? buffer_append_string(out, "&lt;")
		    : *text == '>' ? buffer_append_string(out, "&gt;")
				   : buffer_append(out, text, 1);
	return r;
}

/* --- the body --- */

static char *dump(json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	return text;
}

static char *slack_body(const char *sentence)
{
	cleanup(buffer_deinit) struct buffer escaped = BUFFER_INIT(5 * WEBHOOK_TEXT_MAX + 1);

	if (escape(sentence, &escaped) < 0)
		return NULL;
	return dump(json_pack("{s:s}", "text", buffer_text(&escaped)));
}

static char *teams_body(const char *sentence)
{
	return dump(json_pack("{s:s,s:[{s:s,s:{s:s,s:s,s:[{s:s,s:s,s:b}]}}]}", "type", "message", "attachments",
			      "contentType", "application/vnd.microsoft.card.adaptive", "content", "type",
			      "AdaptiveCard", "version", "1.2", "body", "type", "TextBlock", "text", sentence, "wrap",
			      1));
}

/* Replaces what is not UTF-8, which JSON cannot hold, and cuts. */
static void tidy(char *text)
{
	size_t size = strlen(text), step;
	uint32_t code;

	for (size_t i = 0; i < size; i += step ? step : 1) {
		step = utf8_decode(text + i, size - i, &code);
		if (step == 0)
			text[i] = '?';
	}
	text[utf8_cut(text, size, WEBHOOK_TEXT_MAX)] = '\0';
}

char *webhook_body(enum webhook_format format, const struct event *event, const char *json)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(1u << 20);
	cleanup(cleanup_free) char *sentence = NULL;

	if (format == WEBHOOK_EVENT)
		return strdup(json);
	/* A text beyond the buffer's cap is far beyond what is sent of it. */
	if (webhook_text(event, &text) == -ENOMEM)
		return NULL;
	sentence = strdup(buffer_text(&text));
	if (!sentence)
		return NULL;
	tidy(sentence);
	return format == WEBHOOK_SLACK ? slack_body(sentence) : teams_body(sentence);
}

/* --- the signature --- */

bool webhook_sign(const char *key, uint64_t time_s, const char *body, char signature[static WEBHOOK_SIGNATURE_SIZE])
{
	cleanup(cleanup_free) char *text = NULL;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	int used;

	if (asprintf(&text, "%llu.%s", (unsigned long long)time_s, body) < 0) {
		text = NULL;
		return false;
	}
	if (!HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text, strlen(text), mac, &size))
		return false;
	used = snprintf(signature, WEBHOOK_SIGNATURE_SIZE, "t=%llu,v1=", (unsigned long long)time_s);
	for (unsigned i = 0; i < size; i++)
		used += snprintf(signature + used, WEBHOOK_SIGNATURE_SIZE - (size_t)used, "%02x", mac[i]);
	return true;
}
