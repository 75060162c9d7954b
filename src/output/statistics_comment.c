/* SPDX-License-Identifier: BSD-2-Clause */
/* Each count that is not 0, by the name that it has in the event. */
#include "output/statistics_comment.h"

#include <inttypes.h>
#include <stdio.h>

#include "capture/consumer.h"

struct writer {
	char *text;
	size_t size; /* of the text so far; what does not fit is left out */
};

static void add(struct writer *writer, const char *name, uint64_t count)
{
	const size_t room = STATISTICS_COMMENT_SIZE - writer->size;

	if (!count)
		return;
	const int size =
		snprintf(writer->text + writer->size, room, "%s%s: %" PRIu64, writer->size ? ", " : "", name, count);
	if (size > 0 && (size_t)size < room)
		writer->size += (size_t)size;
}

const char *statistics_comment(const struct consumer_report *report, uint64_t duplicates,
			       char text[static STATISTICS_COMMENT_SIZE])
{
	struct writer writer = {.text = text};

	add(&writer, "nic rx_dropped", report->nic.rx_dropped);
	add(&writer, "nic rx_missed_errors", report->nic.rx_missed_errors);
	add(&writer, "nic queue_drops", report->nic.queue_drops);
	add(&writer, "truncated", report->truncated);
	add(&writer, "duplicates", duplicates);
	return writer.size ? text : NULL;
}
