/* SPDX-License-Identifier: BSD-2-Clause */
/* What to do about a failed attempt. Pure; any thread. */
#pragma once

/* By the attempt's error text; never NULL, never empty. A constant. */
const char *failure_hint(const char *error);
