/* SPDX-License-Identifier: BSD-2-Clause */
/* From a member to the struct that holds it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * `pointer` must be the address of `member` in a `type`. A pointer of another type does not compile, nor does a pointer
 * to const unless `type` is const.
 */
#define container_of(pointer, type, member)                            \
	__extension__({                                                \
		__typeof__(((type *)0)->member) *member_ = (pointer);  \
		(type *)((uintptr_t)member_ - offsetof(type, member)); \
	})
