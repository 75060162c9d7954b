/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON for the tests of alerts. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/cleanup.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

CLEANUP_DEFINE(json, json_t, json_decref)

/* Caller frees. */
static inline json_t *parsed(const char *text)
{
	json_error_t fault;
	json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &fault);

	if (!json)
		fail_msg("%s: %s", text, fault.text);
	return json;
}
