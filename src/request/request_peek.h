/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A first look at a message without building anything: how deep it nests, and whom it is for. Most messages of a busy
 * channel are for other nodes; they must be recognised at the price of reading them once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "request/request_text.h"

struct request_peek_string {
	const char *text; /* into the message, between the quotes; NULL: no such field */
	size_t size;
	bool escaped; /* holds a backslash */
};

struct request_peek {
	struct request_peek_string node, nodere;
};

/* True if arrays and objects nest deeper than `depth_max`. Strings are skipped; the rest need not be valid JSON. */
bool request_peek_is_deeper(const char *bytes, size_t size, unsigned depth_max);

/*
 * True if the message is certainly a JSON object with exactly one of `node` and `nodere`, as a string. False means
 * nothing: the real parser has to say. Numbers it could find too large, escapes in names, surrogates are left to it.
 * Only for messages that are not deeper than REQUEST_DEPTH_MAX (it recurses).
 */
bool request_peek_message(const char *bytes, size_t size, struct request_peek *peek);

/* The name of the top-level field that byte `position` belongs to, as it is written; "" if there is none. */
void request_peek_field_at(const char *bytes, size_t position, char field[static REQUEST_QUOTE_SIZE]);
