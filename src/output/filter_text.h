/* SPDX-License-Identifier: BSD-2-Clause */
/* The filter of a file's interface, as text for its readers. */
#pragma once

#include "base/cleanup.h"

/* Both expressions as one; NULL or "": none. 0 with `*text` (the caller frees; NULL: no filter), or -ENOMEM. The text
 * is for people: filters are joined as programs. */
warn_unused int filter_text(const char *required, const char *bpf, char **text);
