/* SPDX-License-Identifier: BSD-2-Clause */
/* pcapng time stamps → nanoseconds since 1970. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/* if_tsresol: 10^-n seconds, or 2^-n with the highest bit set. False: too fine for 64 bits to hold a second. */
bool timestamp_resolution_known(uint8_t tsresol);

/* `ticks` of such a resolution, plus `offset_s` (if_tsoffset), rounded down. 0, or -ERANGE: before 1970 or after 2554.
 */
warn_unused int timestamp_to_ns(uint64_t ticks, uint8_t tsresol, int64_t offset_s, uint64_t *time_ns);
