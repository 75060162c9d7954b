/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a Redis URL: they give a complete target, or are refused with an error text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "pcapctl/fleet/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(cleanup_free) char *url = calloc(1, size + 1); /* a URL ends at its first NUL */
	cleanup(cleanup_fleet_target) struct fleet_target *target = NULL;
	struct error err = {0};
	int r;

	if (!url)
		return 0;
	if (size > 0)
		memcpy(url, data, size);
	r = redis_url_parse(url, &target, &err);
	if (r < 0 && (target || !err.text[0]))
		abort();
	if (r == 0 && (!target || !*target->host || !target->port || !*target->channel || !*target->events ||
		       !target->master != !target->sentinel_count))
		abort();
	return 0;
}
