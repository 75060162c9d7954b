/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A first look at a message that builds nothing: how deep it nests and which node it is for. Most messages on a busy
 * channel are for other nodes; recognising them must cost no more than reading them once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "request/request_text.h"

struct request_peek_string {
	const char *text; /* in the message, between the quotes; NULL: no such field */
	size_t size;
	bool escaped; /* contains a backslash */
};

struct request_peek {
	struct request_peek_string node, nodere;
};

/* True if arrays and objects nest deeper than `depth_max`. Need not be valid JSON. */
bool request_peek_is_deeper(const char *bytes, size_t size, unsigned depth_max);

/*
 * True if the message is certainly a JSON object with exactly one of `node` and `nodere`, as a string. False leaves the
 * decision to the full parser, for instance with long numbers, escapes in names, or surrogates. The message must not
 * nest deeper than REQUEST_DEPTH_MAX, because this recurses.
 */
bool request_peek_message(const char *bytes, size_t size, struct request_peek *peek);

/* The name, as written, of the top-level field that contains byte `position`; "" if none does. */
void request_peek_field_at(const char *bytes, size_t position, char field[static REQUEST_QUOTE_SIZE]);
