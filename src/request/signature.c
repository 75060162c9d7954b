/* SPDX-License-Identifier: BSD-2-Clause */
/* Cheap checks come before the MAC: anyone who may publish can make this node try. */
#include "request/signature.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/printable.h"
#include "config/config.h"
#include "config/config_keyring.h"
#include "request/canonical_json.h"
#include "request/request.h"
#include "request/request_text.h"

#define CANONICAL_BYTES_MAX (8 * REQUEST_SIZE_MAX) /* control characters grow sixfold */
#define NONCE_BYTES 16
#define TIME_DIGITS 12
#define HEAD_SIZE (CONFIG_KEY_NAME_MAX + TIME_DIGITS + SIGNATURE_NONCE_MAX + 4)
#define MAC_DIGITS ((size_t)2 * SIGNATURE_MAC_BYTES)

static const char plain[] = PLAIN_CHARACTERS;

/* `head`: "KEY:TIME:NONCE:". */
static int compute_mac(const json_t *message, const char *head, const char *secret,
		       uint8_t mac[static SIGNATURE_MAC_BYTES], struct error *err)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(CANONICAL_BYTES_MAX);
	unsigned size = 0;
	int r = buffer_append_string(&text, head);

	if (r == 0)
		r = canonical_json(message, &text);
	if (r == -ERANGE)
		return error_set(err, -EINVAL,
				 "has no fixed form (RFC 8785): an integer is beyond 2^53; send it as a string");
	if (r < 0)
		return error_set(err, -EINVAL, "cannot be computed: %s", strerror(-r));
	if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)buffer_text(&text), text.size, mac,
		  &size) ||
	    size != SIGNATURE_MAC_BYTES)
		return error_set(err, -EINVAL, "cannot be computed");
	return 0;
}

/* --- reading --- */

/* The parts of a signature, in it. */
struct parts {
	const char *key, *time, *nonce, *mac;
	size_t key_size, time_size, nonce_size;
};

static size_t part_size(const char *text, size_t max, const char *characters)
{
	const size_t size = strspn(text, characters);

	return size > 0 && size <= max && text[size] == ':' ? size : 0;
}

static bool split(const char *text, struct parts *parts)
{
	parts->key = text;
	parts->key_size = part_size(parts->key, CONFIG_KEY_NAME_MAX, plain);
	if (!parts->key_size)
		return false;
	parts->time = parts->key + parts->key_size + 1;
	parts->time_size = part_size(parts->time, TIME_DIGITS, "0123456789");
	if (!parts->time_size)
		return false;
	parts->nonce = parts->time + parts->time_size + 1;
	parts->nonce_size = part_size(parts->nonce, SIGNATURE_NONCE_MAX, plain);
	if (!parts->nonce_size)
		return false;
	parts->mac = parts->nonce + parts->nonce_size + 1;
	return strlen(parts->mac) == MAC_DIGITS && strspn(parts->mac, "0123456789abcdefABCDEF") == MAC_DIGITS;
}

static unsigned digit_of(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

static void read_mac(const char *text, uint8_t mac[static SIGNATURE_MAC_BYTES])
{
	for (size_t i = 0; i < SIGNATURE_MAC_BYTES; i++)
		mac[i] = (uint8_t)(digit_of(text[2 * i]) << 4 | digit_of(text[2 * i + 1]));
}

/* --- verifying --- */

static int check_age(const struct config_requests *rules, uint64_t time_s, uint64_t arrival_ns, struct error *err)
{
	const double age_s = (double)arrival_ns / NS_PER_S - (double)time_s;
	const double most_s = (double)rules->signature_age_ns / NS_PER_S;

	if (age_s <= most_s && age_s >= -most_s)
		return 0;
	return error_set(err, -EINVAL,
			 "was made %.0f s %s the request came; the limit is %.12g s (requests.signature_age)",
			 age_s < 0 ? -age_s : age_s, age_s < 0 ? "after" : "before", most_s);
}

/* 0, -EBADMSG (another secret, or another request), or -errno. */
static int check_mac(json_t *message, const char *head, const struct signature *signature, struct error *err)
{
	uint8_t mac[SIGNATURE_MAC_BYTES];
	const int r = compute_mac(message, head, signature->key->secret, mac, err);

	if (r == 0 && CRYPTO_memcmp(mac, signature->mac, sizeof(mac)) != 0)
		return error_set(err, -EBADMSG, "does not fit the request and the key \"%s\"", signature->key->name);
	return r;
}

static int verify(json_t *message, const char *text, const struct config_requests *rules, uint64_t arrival_ns,
		  struct signature *signature, struct error *err)
{
	char head[HEAD_SIZE], quote[REQUEST_QUOTE_SIZE];
	struct parts parts;
	char *end;

	if (!split(text, &parts))
		return error_set(err, -EINVAL,
				 "must be KEY:TIME:NONCE:MAC, with Unix seconds, and a MAC of 64 hexadecimal digits");
	const struct config_key *key = config_keyring_find(rules->keyring, parts.key, parts.key_size);
	if (!key && config_keyring_read_again(rules->keyring))
		key = config_keyring_find(rules->keyring, parts.key, parts.key_size);
	if (!key)
		return error_set(err, -EINVAL, "there is no key \"%s\" (requests.keys_file)",
				 request_text_quote(parts.key, parts.key_size, quote));
	signature->key = key;
	signature->time_s =
		strtoull(parts.time, &end, 10); /* TIME_DIGITS cannot overflow it; split() has seen its end */
	read_mac(parts.mac, signature->mac);
	int r = check_age(rules, signature->time_s, arrival_ns, err);
	if (r < 0)
		return r;
	snprintf(head, sizeof(head), "%.*s", (int)(parts.mac - text), text);
	r = check_mac(message, head, signature, err);
	if (r != -EBADMSG || !config_keyring_read_again(rules->keyring))
		return r == -EBADMSG ? -EINVAL : r;
	signature->key = config_keyring_find(rules->keyring, parts.key, parts.key_size);
	if (!signature->key)
		return error_set(err, -EINVAL, "there is no key \"%s\" any more (requests.keys_file)",
				 request_text_quote(parts.key, parts.key_size, quote));
	r = check_mac(message, head, signature, err);
	return r == -EBADMSG ? -EINVAL : r;
}

int signature_verify(json_t *message, const struct config_requests *rules, uint64_t arrival_ns,
		     struct signature *signature, struct error *err)
{
	json_t *text = json_incref(json_object_get(message, SIGNATURE_FIELD));
	int r;

	json_object_del(message, SIGNATURE_FIELD);
	if (!text)
		r = error_set(err, -EINVAL, "is missing: requests must be signed (requests.keys_file)");
	else if (!json_is_string(text) || strlen(json_string_value(text)) != json_string_length(text))
		r = error_set(err, -EINVAL, "must be a string");
	else
		r = verify(message, json_string_value(text), rules, arrival_ns, signature, err);
	json_decref(text);
	return r;
}

/* --- signing --- */

int signature_sign(json_t *message, const struct config_key *key, struct error *err)
{
	uint8_t random[NONCE_BYTES], mac[SIGNATURE_MAC_BYTES];
	char head[HEAD_SIZE], text[HEAD_SIZE + MAC_DIGITS], nonce[2 * NONCE_BYTES + 1];
	size_t size;

	json_object_del(message, SIGNATURE_FIELD);
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_set(err, -errno, "no random number: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(nonce + 2 * i, 3, "%02x", random[i]);
	snprintf(head, sizeof(head), "%s:%" PRIu64 ":%s:", key->name, clock_realtime_ns() / NS_PER_S, nonce);
	const int r = compute_mac(message, head, key->secret, mac, err);
	if (r < 0)
		return r;
	size = (size_t)snprintf(text, sizeof(text), "%s", head);
	for (size_t i = 0; i < sizeof(mac); i++)
		snprintf(text + size + 2 * i, 3, "%02x", mac[i]);
	if (json_object_set_new(message, SIGNATURE_FIELD, json_string(text)) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}
