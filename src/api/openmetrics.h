/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes OpenMetrics text (https://github.com/OpenObservability/OpenMetrics, version 1.0.0), or the older text format
 * of Prometheus (version 0.0.4), which has no info type, no units and no end, and whose headers name the samples. A
 * family's samples must follow its header, and no family may repeat. Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum metric_format { METRICS_OPENMETRICS, METRICS_TEXT_004 };

struct metric_writer {
	struct buffer *out;
	enum metric_format format;
};

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_INFO };

struct metric_family {
	const char *name; /* without the suffixes "_total" and "_info"; ends in the unit if there is one */
	enum metric_type type;
	const char *unit; /* "seconds", "bytes"; NULL: none */
	const char *help; /* one line */
};

struct metric_label {
	const char *name, *value; /* the value is escaped here */
};

const char *metric_content_type(enum metric_format format);

/* All return 0 or the buffer's error. `labels` ends with a NULL name. */
warn_unused int metric_header(struct metric_writer *writer, const struct metric_family *family);
warn_unused int metric_sample(struct metric_writer *writer, const struct metric_family *family,
			      const struct metric_label *labels, double value);
warn_unused int metric_end(struct metric_writer *writer);
