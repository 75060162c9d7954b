/* SPDX-License-Identifier: BSD-2-Clause */
/* Integers are written without a fraction or exponent, so a counter of bytes is exact up to 2^53. */
#include "api/openmetrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

static const char *const types[] = {[METRIC_GAUGE] = "gauge", [METRIC_COUNTER] = "counter", [METRIC_INFO] = "info"};
static const char *const suffixes[] = {[METRIC_GAUGE] = "", [METRIC_COUNTER] = "_total", [METRIC_INFO] = "_info"};

#define EXACT_MAX 9007199254740992.0 /* 2^53 */

const char *metric_content_type(enum metric_format format)
{
	return format == METRICS_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
					     : "text/plain; version=0.0.4; charset=utf-8";
}

int metric_header(struct metric_writer *writer, const struct metric_family *family)
{
	const bool open = writer->format == METRICS_OPENMETRICS;
	const char *suffix = open ? "" : suffixes[family->type];
	const char *type = types[!open && family->type == METRIC_INFO ? METRIC_GAUGE : family->type];
	int r = buffer_printf(writer->out, "# TYPE %s%s %s\n", family->name, suffix, type);

	if (r == 0 && family->unit && open)
		r = buffer_printf(writer->out, "# UNIT %s %s\n", family->name, family->unit);
	return r == 0 ? buffer_printf(writer->out, "# HELP %s%s %s\n", family->name, suffix, family->help) : r;
}

/* Bytes that are not UTF-8, as in some interface names, become U+FFFD. */
static int append_escaped(struct buffer *out, const char *text)
{
	size_t left = strlen(text);
	int r = 0;

	while (left > 0 && r == 0) {
		uint32_t code;
		const size_t size = utf8_decode(text, left, &code);
		const size_t step = size ? size : 1;

		if (size == 0)
			r = buffer_append_string(out, "\xef\xbf\xbd");
		else if (code == '\n')
			r = buffer_append(out, "\\n", 2);
		else if (code == '"' || code == '\\')
			r = buffer_printf(out, "\\%c", (char)code);
		else
			r = buffer_append(out, text, size);
		text += step;
		left -= step;
	}
	return r;
}

static int append_labels(struct buffer *out, const struct metric_label *labels)
{
	int r = 0;

	for (const struct metric_label *label = labels; label->name && r == 0; label++) {
		r = buffer_printf(out, "%s%s=\"", label == labels ? "{" : ",", label->name);
		if (r == 0)
			r = append_escaped(out, label->value);
		if (r == 0)
			r = buffer_append(out, "\"", 1);
	}
	return r == 0 && labels->name ? buffer_append(out, "}", 1) : r;
}

int metric_sample(struct metric_writer *writer, const struct metric_family *family, const struct metric_label *labels,
		  double value)
{
	struct buffer *out = writer->out;
	int r = buffer_printf(out, "%s%s", family->name, suffixes[family->type]);

	if (r == 0)
		r = append_labels(out, labels);
	if (r < 0)
		return r;
	if (value >= 0 && value < EXACT_MAX && value == floor(value))
		return buffer_printf(out, " %" PRIu64 "\n", (uint64_t)value);
	return buffer_printf(out, " %.9g\n", value);
}

int metric_end(struct metric_writer *writer)
{
	return writer->format == METRICS_OPENMETRICS ? buffer_append_string(writer->out, "# EOF\n") : 0;
}
