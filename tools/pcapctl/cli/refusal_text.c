/* SPDX-License-Identifier: BSD-2-Clause */
/* Most options are named as their fields; the table has the others. */
#include "pcapctl/cli/refusal_text.h"

#include <string.h>

#include "base/buffer.h"
#include "pcapctl/cli/command_table.h"

static const char *option_name(const char *field)
{
	static const struct {
		const char *field, *option;
	} others[] = {
		{"to_destinations", "destination"},
		{"first_of", "first-of"},
		{"drop_duplicates", "drop-duplicates"},
		{"sig", "key-file"},
		{"stream", "streamed"},
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strcmp(others[i].field, field) == 0)
			return others[i].option;
	return field;
}

const char *refusal_text(const char *field, const char *reason, struct buffer *into)
{
	const size_t size = strlen(field);
	const enum option_id option = size ? option_find(option_name(field)) : OPTION_NONE;

	/* A bare "bpf: …" stays: the filter has no option. */
	if (!option || strncmp(reason, field, size) != 0 || reason[size] != ':')
		return reason;
	const struct option_row *row = &option_rows[option];
	buffer_clear(into);
	const int r = row->letter ? buffer_printf(into, "-%c%s", row->letter, reason + size)
				  : buffer_printf(into, "--%s%s", row->name, reason + size);
	return r < 0 ? reason : buffer_text(into);
}
