/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON in the one form that RFC 8785 (JCS) gives it, to be signed. */
#pragma once

#include <jansson.h>

#include "base/buffer.h"
#include "base/cleanup.h"

/*
 * Appends the value's canonical form. 0; -ERANGE: an integer beyond ±(2^53 - 1), which not every reader keeps exact
 * (RFC 8785, 3.2.2.3: send it as a string); -EMSGSIZE or -ENOMEM. Recurses as deep as the value nests.
 */
warn_unused int canonical_json(const json_t *value, struct buffer *out);
