/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text on its way to a user (an event, a log): bounded, valid UTF-8 whatever a peer sent, and without the secret that a
 * peer or a library may echo. Pure; any thread.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/*
 * Copies `text` into `into` (room bytes, at least 1), cut at a character's boundary; bytes that are not UTF-8 become
 * '?'.
 */
void report_text_copy(char *into, size_t room, const char *text);

/*
 * A copy of `text` in which `secret` is "***" wherever it stands, and also where a cut left only its beginning at the
 * very end (four bytes or more). An empty secret hides nothing. Caller frees; NULL on ENOMEM.
 */
warn_unused char *report_text_scrub(const char *text, const char *secret);
