/* SPDX-License-Identifier: BSD-2-Clause */
/* What the statistics of an interface in a file say beyond the counts that pcapng has options for. */
#pragma once

#include <stdint.h>

struct consumer_report;

#define STATISTICS_COMMENT_SIZE 256

/* Returns `text`, or NULL if there is nothing to say. */
const char *statistics_comment(const struct consumer_report *report, uint64_t duplicates,
			       char text[static STATISTICS_COMMENT_SIZE]);
