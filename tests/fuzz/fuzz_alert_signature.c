/* SPDX-License-Identifier: BSD-2-Clause */
/* Three lines, the header's number, its value and the time, verify nothing but the signature that was made here. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "api/alert_signature.h"
#include "base/clock.h"
#include "config/config_keyring.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	char text[1024];
	const char *header, *value, *time;
};

static const char *find(const void *ctx, const char *name)
{
	const struct input *input = ctx;

	if (strcmp(name, input->header) == 0)
		return input->value;
	return strstr(name, "Timestamp") && *input->time ? input->time : NULL;
}

static struct config_keyring *make_keys(void)
{
	struct config_key *keys = calloc(1, sizeof(*keys));

	REQUIRE(keys);
	keys->name = strdup("k");
	keys->secret = strdup("0123456789abcdef");
	return config_keyring_new(NULL, keys, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_keyring *keys;
	struct input input = {.header = alert_signature_headers[0]};
	struct alert_signature signature;
	struct error err = {0};
	char *next = input.text;

	if (!keys)
		keys = make_keys();
	if (size >= sizeof(input.text))
		return 0;
	memcpy(input.text, data, size);
	input.header = alert_signature_headers[*strsep(&next, "\n") & 3];
	input.value = next ? strsep(&next, "\n") : "";
	input.time = next ? next : "";
	const struct alert_signature_rules rules = {.keys = keys, .max_age_ns = NS_PER_S, .untimed = true};
	const struct alert_signature_message message = {.header = find,
							.ctx = &input,
							.body = "{}",
							.size = strlen("{}")};
	if (alert_signature_verify(&rules, &message, 0, &signature, &err) < 0)
		REQUIRE(err.text[0]);
	else
		REQUIRE(strcasestr(input.value, signature.mac));
	return 0;
}
