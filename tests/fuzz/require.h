/* SPDX-License-Identifier: BSD-2-Clause */
/* What a fuzz target holds to be true of any input; assert() is not for that, since a build may lack it. */
#pragma once

#include <stdlib.h>

#define REQUIRE(what)            \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)
