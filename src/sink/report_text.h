/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for users (events, logs): bounded, always valid UTF-8, and without a secret that a peer or a library may echo.
 * Pure; any thread.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/*
 * Copies `text` into `into` (room bytes, at least 1), cut between characters; bytes that are not UTF-8 become '?'.
 */
void report_text_copy(char *into, size_t room, const char *text);

/*
 * Copies `text` with every `secret` replaced by "***", and its beginning as well (four bytes or more) at the very end,
 * where a cut may have left it. An empty secret hides nothing. The caller frees; NULL on ENOMEM.
 */
warn_unused char *report_text_scrub(const char *text, const char *secret);

/*
 * Makes one line of a server's answer, in place: markup (<...>) is left out, white space and control characters become
 * single spaces, and what is beyond REPORT_LINE_MAX bytes is cut.
 */
void report_text_line(char *text);

#define REPORT_LINE_MAX 400
