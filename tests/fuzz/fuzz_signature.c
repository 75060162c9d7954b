/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any JSON has a canonical form that is its own, or is refused; any object is verified or refused with a text; what
 * this program signs, it verifies.
 */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "config/config_keyring.h"
#include "request/canonical_json.h"
#include "request/request_peek.h"
#include "request/signature.h"
#include "require.h"

#define OWN(text) ((char[]){text})
#define CANONICAL_MAX (8 * REQUEST_SIZE_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

CLEANUP_DEFINE(json, json_t, json_decref)

static struct config_key keys[] = {{.name = OWN("ci"), .secret = OWN("0123456789abcdef")}};
static struct config_requests rules = {.signature_age_ns = 60 * NS_PER_S};

/* Integers of the canonical form may be the fractions of the original, so they are read as such. */
static void check_stable(const struct buffer *canonical)
{
	cleanup(buffer_deinit) struct buffer again = BUFFER_INIT(CANONICAL_MAX);
	cleanup(cleanup_json) json_t *value =
		json_loadb(buffer_text(canonical), canonical->size,
			   JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);

	REQUIRE(value);
	REQUIRE(canonical_json(value, &again) == 0);
	REQUIRE(again.size == canonical->size && memcmp(buffer_text(&again), buffer_text(canonical), again.size) == 0);
}

static void check_signing(json_t *message)
{
	struct signature signature;
	struct error err = {0};

	if (signature_verify(message, &rules, clock_realtime_ns(), &signature, &err) < 0)
		REQUIRE(err.text[0]);
	REQUIRE(!json_object_get(message, SIGNATURE_FIELD));
	REQUIRE(signature_sign(message, keys, &err) == 0);
	REQUIRE(signature_verify(message, &rules, clock_realtime_ns(), &signature, &err) == 0);
	REQUIRE(signature.key == keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!rules.keyring) /* lives as long as the program, as do the keys */
		REQUIRE(rules.keyring = config_keyring_new(NULL, keys, 1));
	cleanup(buffer_deinit) struct buffer canonical = BUFFER_INIT(CANONICAL_MAX);
	cleanup(cleanup_json) json_t *value = NULL;

	if (size > REQUEST_SIZE_MAX || request_peek_is_deeper((const char *)data, size, REQUEST_DEPTH_MAX))
		return 0;
	value = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	if (!value)
		return 0;
	const int r = canonical_json(value, &canonical);
	REQUIRE(r == 0 || r == -ERANGE);
	if (r < 0)
		return 0;
	check_stable(&canonical);
	if (json_is_object(value))
		check_signing(value);
	return 0;
}
