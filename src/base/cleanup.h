/* SPDX-License-Identifier: BSD-2-Clause */
/* Scope-bound ownership: a local declared with cleanup() is released however its scope is left. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(fn) __attribute__((cleanup(fn)))
#define warn_unused __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

/* Defines cleanup_<name>(): calls `release` on a pointer variable that leaves its scope, unless it is NULL. */
#define CLEANUP_DEFINE(name, type, release)             \
	static inline void cleanup_##name(type **owner) \
	{                                               \
		if (*owner)                             \
			release(*owner);                \
	}

static inline void cleanup_free(void *owner)
{
	free(*(void **)owner);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* Moves the value out of an owning variable, which becomes NULL. */
#define take(owner)                                 \
	__extension__({                             \
		__typeof__(owner) taken_ = (owner); \
		(owner) = NULL;                     \
		taken_;                             \
	})

/* The same for a file descriptor, which becomes -1. */
#define take_fd(fd)                \
	__extension__({            \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})
