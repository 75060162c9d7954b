/* An error as a user reads it: one line that says what is wrong and where. The number travels as the return value. */
#pragma once

#include "cleanup.h"

struct error {
	char text[1024];
};

/* Formats the text (truncated to fit) and returns `code`, so that `return error_set(err, -EINVAL, …)` reads well. err
 * may be NULL. */
int error_set(struct error *err, int code, const char *fmt, ...) printf_like(3, 4);

/* Puts "<formatted>: " in front of the text that is there. */
void error_prefix(struct error *err, const char *fmt, ...) printf_like(2, 3);
