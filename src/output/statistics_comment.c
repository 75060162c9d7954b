/* SPDX-License-Identifier: BSD-2-Clause */
/* One sentence for each count that is not 0. */
#include "output/statistics_comment.h"

#include <inttypes.h>
#include <stdio.h>

#include "capture/consumer.h"

const char *statistics_comment(const struct consumer_report *report, char text[static STATISTICS_COMMENT_SIZE])
{
	if (!report->truncated)
		return NULL;
	snprintf(text, STATISTICS_COMMENT_SIZE, "truncated: %" PRIu64, report->truncated);
	return text;
}
