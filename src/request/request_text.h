/* SPDX-License-Identifier: BSD-2-Clause */
/* Untrusted text: which characters a field may contain, and how to quote it so that a refusal stays one readable line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "request/request.h"

#define REQUEST_QUOTE_SIZE 64 /* bytes of quoted text in a refusal, NUL included */

#define REQUEST_HINT_SIZE (REQUEST_QUOTE_SIZE + 32)

enum request_text_kind {
	TEXT_LINE,   /* no control characters */
	TEXT_NOTE,   /* newline and tab are allowed */
	TEXT_FILTER, /* all white space is allowed: a filter may span several lines */
};

/* True if `text` (valid UTF-8) has a control character (C0, DEL, C1) that `kind` forbids; NUL is always forbidden. */
bool request_text_has_control(const char *text, size_t size, enum request_text_kind kind);

/* Copies with '?' for control characters and invalid bytes; cuts long text between characters, with "...". Returns
 * `quote`. */
const char *request_text_quote(const char *text, size_t size, char quote[static REQUEST_QUOTE_SIZE]);

/* ", did you mean \"…\"?", or "" if no known name is similar. Returns `hint`. */
const char *request_text_suggestion(const char *word, const char *const *known, size_t count,
				    char hint[static REQUEST_HINT_SIZE]);

/* Fills field and error of the refusal ("<field>: <formatted>") and returns -EINVAL. `field` may be "". */
int request_refuse(struct request_refusal *refusal, const char *field, const char *fmt, ...) printf_like(3, 4);
