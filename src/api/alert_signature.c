/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Anyone who reaches the port can make this node compute a MAC for each key that is tried, so their number has a cap;
 * what is malformed or too old costs none.
 */
#include "api/alert_signature.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/lru_table.h"
#include "config/config_keyring.h"
#include "config/config_keys.h"

#define MAC_BYTES (ALERT_SIGNATURE_DIGITS / 2)
#define TIME_DIGITS_MAX 12

#define GRAFANA "X-Grafana-Alerting-Signature"
#define OURS "X-Pcapdaemon-Signature"
#define PAGERDUTY "X-PagerDuty-Signature"
#define HUB "X-Hub-Signature-256"

static const struct scheme {
	const char *header, *prefix, *time_header; /* time_header: NULL: none */
} schemes[] = {
	{GRAFANA, "", "X-Grafana-Alerting-Timestamp"},
	{OURS, "", "X-Pcapdaemon-Timestamp"},
	{PAGERDUTY, "v1=", NULL},
	{HUB, "sha256=", NULL},
};

#define SCHEMES (sizeof(schemes) / sizeof(*schemes))

const char *const alert_signature_headers[SCHEMES + 1] = {GRAFANA, OURS, PAGERDUTY, HUB, NULL};

/* The MACs of a header. */
struct macs {
	uint8_t items[ALERT_SIGNATURE_MACS_MAX][MAC_BYTES];
	size_t count;
};

static unsigned digit_of(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

static bool read_mac(const char *text, size_t size, uint8_t mac[static MAC_BYTES])
{
	if (size != ALERT_SIGNATURE_DIGITS || strspn(text, "0123456789abcdefABCDEF") < size)
		return false;
	for (size_t i = 0; i < MAC_BYTES; i++)
		mac[i] = (uint8_t)(digit_of(text[2 * i]) << 4 | digit_of(text[2 * i + 1]));
	return true;
}

/* Items with another prefix are versions to come, and do not count. */
static int read_macs(const struct scheme *scheme, const char *text, struct macs *macs, struct error *err)
{
	const size_t prefix_size = strlen(scheme->prefix);

	macs->count = 0;
	for (size_t size; *text; text += size, text += *text == ',') {
		text += strspn(text, " \t");
		size = strcspn(text, ",");
		const bool is_ours = strncmp(text, scheme->prefix, prefix_size) == 0;
		if (is_ours && macs->count == ALERT_SIGNATURE_MACS_MAX)
			return error_set(err, -EINVAL, "%s has more than %d signatures", scheme->header,
					 ALERT_SIGNATURE_MACS_MAX);
		if (is_ours && !read_mac(text + prefix_size, size - prefix_size, macs->items[macs->count++]))
			return error_set(err, -EINVAL, "%s must be %sHEX, with %d hexadecimal digits", scheme->header,
					 scheme->prefix, ALERT_SIGNATURE_DIGITS);
	}
	return macs->count ? 0 : error_set(err, -EINVAL, "%s has no signature %sHEX", scheme->header, scheme->prefix);
}

static int check_time(const struct alert_signature_rules *rules, const struct scheme *scheme, const char *time,
		      uint64_t now_ns, struct error *err)
{
	char *end;
	const unsigned long long time_s = strtoull(time, &end, 10); /* TIME_DIGITS_MAX cannot overflow it */

	if (*time < '0' || *time > '9' || *end || end - time > TIME_DIGITS_MAX)
		return error_set(err, -EINVAL, "%s must be in Unix seconds", scheme->time_header);
	const double age_s = (double)now_ns / NS_PER_S - (double)time_s;
	const double most_s = (double)rules->max_age_ns / NS_PER_S;
	if (age_s <= most_s && age_s >= -most_s)
		return 0;
	return error_set(err, -EINVAL, "%s is %.0f s off; the limit is %.12g s (api.alert_signature_age)",
			 scheme->time_header, age_s < 0 ? -age_s : age_s, most_s);
}

/* Whether the key made one of the MACs, which `signature` then names. */
static bool fits(const struct config_key *key, const struct buffer *text, const struct macs *macs,
		 struct alert_signature *signature)
{
	uint8_t mac[MAC_BYTES];
	unsigned size = 0;
	bool found = false;

	if (!HMAC(EVP_sha256(), key->secret, (int)strlen(key->secret), (const uint8_t *)buffer_text(text), text->size,
		  mac, &size) ||
	    size != MAC_BYTES)
		return false;
	for (size_t i = 0; i < macs->count; i++)
		found |= CRYPTO_memcmp(mac, macs->items[i], MAC_BYTES) == 0;
	if (!found)
		return false;
	snprintf(signature->key, sizeof(signature->key), "%s", key->name);
	for (size_t i = 0; i < MAC_BYTES; i++)
		snprintf(signature->mac + 2 * i, 3, "%02x", mac[i]);
	return true;
}

static bool find_key(const struct alert_signature_rules *rules, const char *name, const struct buffer *text,
		     const struct macs *macs, struct alert_signature *signature)
{
	const struct config_key *key = name ? config_keyring_find(rules->keys, name, strlen(name)) : NULL;

	if (name)
		return key && fits(key, text, macs, signature);
	for (size_t i = 0; i < ALERT_SIGNATURE_KEYS_MAX && (key = config_keyring_at(rules->keys, i)); i++)
		if (fits(key, text, macs, signature))
			return true;
	return false;
}

static int check_macs(const struct alert_signature_rules *rules, const struct alert_signature_message *message,
		      const char *time, const struct macs *macs, struct alert_signature *signature)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(message->size + TIME_DIGITS_MAX + 1);
	const int r = time ? buffer_printf(&text, "%s:", time) : 0;

	if (r < 0 || buffer_append(&text, message->body, message->size) < 0)
		return -ENOMEM;
	if (find_key(rules, message->key, &text, macs, signature) ||
	    (config_keyring_read_again(rules->keys) && find_key(rules, message->key, &text, macs, signature)))
		return 0;
	return -EINVAL;
}

int alert_signature_verify(const struct alert_signature_rules *rules, const struct alert_signature_message *message,
			   uint64_t now_ns, struct alert_signature *signature, struct error *err)
{
	const struct scheme *scheme = schemes;
	const char *value = NULL;
	struct macs macs;

	while (scheme < schemes + SCHEMES && !(value = message->header(message->ctx, scheme->header)))
		scheme++;
	if (!value)
		return error_set(err, -EINVAL, "there is no signature");
	const char *time = scheme->time_header ? message->header(message->ctx, scheme->time_header) : NULL;
	int r = read_macs(scheme, value, &macs, err);
	if (r == 0 && !time && !rules->untimed)
		r = error_set(err, -EINVAL, "the signature has no time (api.alert_untimed)");
	if (r == 0 && time)
		r = check_time(rules, scheme, time, now_ns, err);
	if (r == 0 && !message->key && config_keyring_count(rules->keys) > ALERT_SIGNATURE_KEYS_MAX)
		r = error_set(err, -EINVAL, "name the key with ?key=NAME: there are more than %d",
			      ALERT_SIGNATURE_KEYS_MAX);
	if (r < 0)
		return r;
	r = check_macs(rules, message, time, &macs, signature);
	if (r == -ENOMEM)
		return error_set(err, r, "out of memory");
	if (r < 0)
		error_set(err, r, "%s %s (api.alert_keys_file)", scheme->header,
			  message->key ? "does not fit the key" : "fits none of the keys");
	return r;
}

/* --- the memory of signatures that were used --- */

struct seen {
	struct lru_entry entry; /* key: the MAC */
	uint64_t until_ns;	/* boot time */
};

struct alert_signatures {
	struct lru_table *table; /* of struct seen */
	uint64_t max_age_ns;
};

struct alert_signatures *alert_signatures_new(uint64_t max_age_ns)
{
	cleanup(cleanup_alert_signatures) struct alert_signatures *signatures = calloc(1, sizeof(*signatures));

	if (!signatures)
		return NULL;
	signatures->max_age_ns = max_age_ns;
	signatures->table = lru_table_new(ALERT_SIGNATURES_SEEN_MAX, sizeof(struct seen));
	return signatures->table ? take(signatures) : NULL;
}

void alert_signatures_free(struct alert_signatures *signatures)
{
	if (!signatures)
		return;
	lru_table_free(signatures->table);
	free(signatures);
}

bool alert_signatures_has(const struct alert_signatures *signatures, const struct alert_signature *signature,
			  uint64_t now_ns)
{
	const struct seen *seen = (const struct seen *)(const void *)lru_table_find(signatures->table, signature->mac);

	return seen && seen->until_ns > now_ns;
}

/* One with a time from the future is good for twice the age. */
void alert_signatures_add(struct alert_signatures *signatures, const struct alert_signature *signature, uint64_t now_ns)
{
	bool is_new;
	struct seen *seen = (struct seen *)(void *)lru_table_touch(signatures->table, signature->mac, &is_new);

	if (seen)
		seen->until_ns = now_ns + 2 * signatures->max_age_ns;
}
