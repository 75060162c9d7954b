/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a file of keys: keys with a name and a secret, or a refusal that names the file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/config_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(cleanup_close) int fd = memfd_create("keys", MFD_CLOEXEC);
	struct config_key *keys = NULL;
	struct error err = {0};
	size_t count = 0;
	char path[64];

	if (fd < 0 || fchmod(fd, 0600) < 0 || (size && write(fd, data, size) != (ssize_t)size))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_keys_read(path, &keys, &count, &err) < 0) {
		if (keys || count || strncmp(err.text, path, strlen(path)) != 0)
			abort();
		return 0;
	}
	if (!count || count > CONFIG_KEYS_MAX)
		abort();
	for (size_t i = 0; i < count; i++)
		if (!*keys[i].name || strlen(keys[i].secret) < CONFIG_SECRET_MIN)
			abort();
	config_keys_free(keys, count);
	return 0;
}
