/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts are formatted into a local buffer first, so that the old text may be an argument of the new one. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/utf8.h"

/* Cuts a text that is too long between characters. */
static void store(struct error *err, const char *text, int length)
{
	size_t size = length < 0 ? 0 : utf8_cut(text, (size_t)length, sizeof(err->text) - 1);

	memcpy(err->text, text, size);
	err->text[size] = '\0';
}

unsigned error_http_status(int code)
{
	static const struct {
		int code;
		unsigned status;
	} table[] = {
		/* The request is at fault. */
		{EINVAL, 400},
		{E2BIG, 400},
		{ESTALE, 400},
		{EACCES, 403},
		{ENODEV, 404},
		{EALREADY, 409},
		/* Too much at once: the same request may succeed later. */
		{ENOSPC, 429},
		{EDQUOT, 429},
		{EBUSY, 429},
		{ENOBUFS, 429},
		{EAGAIN, 429},
		/* The daemon is stopping, or has no file descriptor left. */
		{EMFILE, 503},
		{ENFILE, 503},
		{ESHUTDOWN, 503},
		{ECANCELED, 503},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].code == -code)
			return table[i].status;
	return 500;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	char text[sizeof(err->text) + 1];
	va_list args;

	if (!err)
		return code;

	va_start(args, fmt);
	int length = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	store(err, text, length < (int)sizeof(text) ? length : (int)sizeof(text) - 1);
	return code;
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	char text[2 * sizeof(err->text)];
	char prefix[sizeof(err->text)];
	va_list args;

	if (!err)
		return;

	va_start(args, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, args);
	va_end(args);
	int length = snprintf(text, sizeof(text), "%s: %s", prefix, err->text);
	store(err, text, length < (int)sizeof(text) ? length : (int)sizeof(text) - 1);
}
