/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers with units as people write them in a configuration: "64MiB", "1.5s". Strict: no sign, no junk, no overflow.
 */
#pragma once

#include <stdint.h>

#include "cleanup.h"

#define MIB (1u << 20)

/* "123", "64KiB" "64MiB" "2GiB" or "64K" "64M" "2G" (1024), "10kB" "10MB" "1GB" (1000), "B"; a fraction is allowed with
 * a unit. 0 or -EINVAL, -ERANGE. */
warn_unused int quantity_parse_bytes(const char *text, uint64_t *bytes);

/* "1.5s" "200ms" "10us" "100ns" "2m" "1h" "7d"; a bare number is seconds. 0 or -EINVAL, -ERANGE. */
warn_unused int quantity_parse_duration(const char *text, uint64_t *ns);
