/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as a capture filter: its display filter, if there is one, is made of harmless characters and balanced. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sink/display_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEF0123456789._:/=&|() ";
	cleanup(cleanup_free) char *capture = calloc(1, size + 1);
	cleanup(cleanup_free) char *display = NULL;
	int depth = 0;

	if (!capture)
		return 0;
	if (size > 0)
		memcpy(capture, data, size);
	display = display_filter_from_capture(capture);
	if (!display)
		return 0;
	if (!*display || strspn(display, allowed) != strlen(display))
		abort();
	for (const char *at = display; *at; at++) {
		depth += (*at == '(') - (*at == ')');
		if (depth < 0)
			abort();
	}
	if (depth)
		abort();
	return 0;
}
