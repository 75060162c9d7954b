/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wrong with a filter expression, and where. libpcap says only "syntax error". */
#pragma once

#include "base/error.h"

/*
 * Checks an expression's syntax without looking up any name: not whether names exist, or what they are, or whether the
 * link type fits. NULL: valid. Returns 0, -EINVAL or -ENOMEM.
 */
warn_unused int filter_check_syntax(const char *expression, struct error *err);

/* Sets an error of libpcap's, -EINVAL: the reason with the expression, and in that the place, where it can be found,
 * between >>> and <<<. */
int filter_explain(const char *expression, const char *reason, struct error *err);
