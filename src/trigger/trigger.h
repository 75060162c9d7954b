/*
 * A trigger is a way in: it takes bytes from somewhere and hands them on with their origin. It understands nothing of
 * them. Each way in is a file of its own in this folder.
 */
#pragma once

#include <stddef.h>

struct trigger_handler {
	/* Loop thread; must not block. `origin` is for logs ("redis:capture"). `bytes` are valid during the call. */
	void (*message)(void *ctx, const char *origin, const void *bytes, size_t size);
	void *ctx;
};
