/* SPDX-License-Identifier: BSD-2-Clause */
/* The comments in the section header of a capture's file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct request;

#define OUTPUT_COMMENTS_MAX 17

struct output_comments {
	char *texts[OUTPUT_COMMENTS_MAX];
	size_t count;
};

/* False: out of memory. */
warn_unused bool output_comments_add(struct output_comments *comments, const char *format, ...) printf_like(2, 3);

/* What the request says of itself, and the tags. False: out of memory. */
warn_unused bool output_comments_add_request(struct output_comments *comments, const struct request *request,
					     const char *tags);

void output_comments_deinit(struct output_comments *comments);
