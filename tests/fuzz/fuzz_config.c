/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a configuration file: they load, or are refused with at least one line. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer faults = BUFFER_INIT(1024 * 1024);
	struct config *config = NULL;
	int r = config_load_text((const char *)data, size, "fuzz.toml", NULL, &faults, &config);

	if (r == 0 && (!config || faults.size > 0 || !*config->general.node || !*config->redis.events))
		abort();
	if (r == -EINVAL && (config || faults.size == 0 || buffer_text(&faults)[faults.size - 1] != '\n'))
		abort();
	config_free(config);
	buffer_deinit(&faults);
	return 0;
}
