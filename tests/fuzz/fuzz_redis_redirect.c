/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as an error reply and as a key. A redirection has a printable, terminated host, and slot and port in range;
 * a key has a slot in range.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "redis/commands/redis_cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redis_redirect redirect;
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (redis_cluster_slot(text, size) >= REDIS_CLUSTER_SLOTS)
		abort();
	(void)redis_error_is_transient(text);
	if (redis_redirect_parse(text, &redirect)) {
		if (redirect.slot >= REDIS_CLUSTER_SLOTS || redirect.endpoint.port == 0)
			abort();
		for (const char *at = redirect.endpoint.host; *at; at++)
			if (*at <= ' ' || *at >= 0x7f || at - redirect.endpoint.host >= REDIS_HOST_SIZE)
				abort();
	}
	free(text);
	return 0;
}
