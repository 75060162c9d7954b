/* SPDX-License-Identifier: BSD-2-Clause */
/* Accept (RFC 9110, 12.5.1): how much a client wants a media type. Pure; any thread. */
#pragma once

#include <stdbool.h>

#define HTTP_QUALITY_MAX 1000 /* "q=1", in thousandths */

/* What the fields read so far say of one media type. Starts as zeros. */
struct http_preference {
	unsigned specificity; /* of the closest range: 3 the type itself, 2 "text/ *", 1 "* / *"; 0: no range has it */
	unsigned quality;     /* thousandths; 0: not wanted */
};

/*
 * Reads one field's value for the media type ("text/plain", without parameters). Of several ranges the closest counts,
 * and of equally close ones (they may differ by parameters) the one that is wanted most. Malformed ranges are ignored.
 */
void http_accept_read(struct http_preference *preference, const char *value, const char *type);
