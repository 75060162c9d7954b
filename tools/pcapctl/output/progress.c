/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a carriage return, the text, and "erase to the end of the line". */
#include "pcapctl/output/progress.h"

#include <stdarg.h>

#include "base/utf8.h"

#define LINE_SIZE 1024

static bool shown;

void progress_show(const struct terminal *terminal, const char *fmt, ...)
{
	char text[LINE_SIZE];
	size_t width = terminal_width() - 1, used = 0;
	va_list args;
	int size;

	if (!terminal->progress)
		return;
	va_start(args, fmt);
	size = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (size < 0)
		return;
	for (size_t columns = 0; text[used] && columns < width; columns++) {
		uint32_t code;
		size_t character = utf8_decode(text + used, sizeof(text) - used, &code);

		if (!character)
			break;
		used += character;
	}
	fprintf(stderr, "\r%.*s\033[K", (int)used, text);
	fflush(stderr);
	shown = true;
}

void progress_clear(const struct terminal *terminal)
{
	if (!terminal->progress || !shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	shown = false;
}
