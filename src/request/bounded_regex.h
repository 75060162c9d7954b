/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regular expressions (PCRE2, unanchored, UTF-8) that come from outside or run on text from outside: neither compiling
 * nor matching takes more than a bounded time.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

#define BOUNDED_REGEX_MAX 256 /* bytes of an expression */

struct bounded_regex;

/* 0, -EINVAL with the fault, or -ENOMEM. */
warn_unused int bounded_regex_new(const char *expression, size_t size, struct error *err, struct bounded_regex **regex);

void bounded_regex_free(struct bounded_regex *regex);

/* 1: the text matches; 0: it does not; -EINVAL: it cannot be said at bounded cost; -ENOMEM. One thread at a time. */
int bounded_regex_match(struct bounded_regex *regex, const char *text, size_t size, struct error *err);

CLEANUP_DEFINE(bounded_regex, struct bounded_regex, bounded_regex_free)
