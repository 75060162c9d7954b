/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults and warnings, up to a cap, sorted by location, each with the location in front. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_loader.h"

#define SUBJECT_SIZE 128

static int print_location(struct buffer *line, const struct config_loader *loader, struct config_origin origin)
{
	if (origin.layer == CONFIG_LAYER_COMMAND_LINE)
		return buffer_append_string(line, "command line: ");
	if (!loader->file)
		return buffer_append_string(line, "configuration: ");
	if (origin.layer == CONFIG_LAYER_FILE && origin.location.line > 0)
		return buffer_printf(line, "%s:%u:%u: ", loader->file, origin.location.line, origin.location.column);
	return buffer_printf(line, "%s: ", loader->file);
}

static void add_fault(struct config_loader *loader, struct config_origin origin, const char *subject, const char *text,
		      bool warning)
{
	struct buffer line = BUFFER_INIT(64 * 1024);

	if (loader->fault_count == CONFIG_FAULTS_MAX) {
		loader->faults_dropped++;
		return;
	}
	if (print_location(&line, loader, origin) < 0 || (warning && buffer_append_string(&line, "warning: ") < 0) ||
	    (subject && buffer_printf(&line, "%s: ", subject) < 0) || buffer_printf(&line, "%s\n", text) < 0) {
		buffer_deinit(&line);
		loader->out_of_memory = true;
		return;
	}
	loader->warning_count += warning;
	loader->faults[loader->fault_count++] = (struct config_fault){.origin = origin, .line = line.data};
}

void config_fault(struct config_loader *loader, struct config_origin origin, const char *subject, const char *fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add_fault(loader, origin, subject, text, false);
}

static void add_row_fault(struct config_loader *loader, const struct config_row *row, const char *text, bool warning)
{
	struct config_origin origin = *config_origin_of(loader, row);
	char subject[SUBJECT_SIZE];

	if (loader->place && origin.layer == CONFIG_LAYER_DEFAULT)
		origin = config_in_file(loader->place->location);
	if (loader->place)
		snprintf(subject, sizeof(subject), "destination.%s", row->key);
	else if (origin.layer == CONFIG_LAYER_COMMAND_LINE || !row->section)
		snprintf(subject, sizeof(subject), "-%s", row->option);
	else
		snprintf(subject, sizeof(subject), "%s.%s", row->section, row->key);
	add_fault(loader, origin, subject, text, warning);
}

void config_row_fault(struct config_loader *loader, const struct config_row *row, const char *fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add_row_fault(loader, row, text, false);
}

void config_row_warning(struct config_loader *loader, const struct config_row *row, const char *fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add_row_fault(loader, row, text, true);
}

void config_file_fault(struct config_loader *loader, const struct config_row *row, const char *reason)
{
	if (!loader->for_client)
		config_row_fault(loader, row, "%s", reason);
	else if (!loader->config->unread &&
		 asprintf(&loader->config->unread, "%s.%s: %s", row->section, row->key, reason) < 0) {
		loader->config->unread = NULL;
		loader->out_of_memory = true;
	}
}

/* The command line first, then the file from top to bottom, then faults without a location. */
static bool comes_before(const struct config_origin *a, const struct config_origin *b)
{
	if (a->layer != b->layer)
		return a->layer > b->layer;
	if (a->location.line != b->location.line)
		return a->location.line < b->location.line;
	return a->location.column < b->location.column;
}

static void sort(struct config_fault *faults, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct config_fault fault = faults[i];
		size_t j = i;

		for (; j > 0 && comes_before(&fault.origin, &faults[j - 1].origin); j--)
			faults[j] = faults[j - 1];
		faults[j] = fault;
	}
}

void config_faults_print(struct config_loader *loader, struct buffer *out)
{
	int r = 0;

	sort(loader->faults, loader->fault_count);
	for (size_t i = 0; r == 0 && i < loader->fault_count; i++)
		r = buffer_append_string(out, loader->faults[i].line);
	if (r == 0 && loader->faults_dropped > 0)
		r = buffer_printf(out, "and %zu more faults\n", loader->faults_dropped);
	if (r == -ENOMEM)
		loader->out_of_memory = true; /* a full buffer is no error: it holds what fits */
}

void config_faults_deinit(struct config_loader *loader)
{
	for (size_t i = 0; i < loader->fault_count; i++)
		free(loader->faults[i].line);
	loader->fault_count = 0;
}
