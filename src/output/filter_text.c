/* SPDX-License-Identifier: BSD-2-Clause */
/* One expression stays as it was written. */
#include "output/filter_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int filter_text(const char *required, const char *bpf, char **text)
{
	const bool both = required && *required && bpf && *bpf;
	const char *one = required && *required ? required : bpf;

	*text = NULL;
	if (both && asprintf(text, "(%s) and (%s)", required, bpf) < 0)
		*text = NULL;
	else if (!both && one && *one)
		*text = strdup(one);
	else if (!both)
		return 0;
	return *text ? 0 : -ENOMEM;
}
