/* SPDX-License-Identifier: BSD-2-Clause */
/* Setting a row. All layers pass the same checks; the stronger one wins, in whatever order they come. */
#include "config/config_loader.h"

#include <errno.h>
#include <string.h>

#include "config/config_value.h"

static bool is_repeated(const struct config_row *row)
{
	return row->section && config_section_find(row->section)->repeated;
}

void config_set(struct config_loader *loader, const struct config_row *row, const struct toml_value *value,
		struct config_origin origin, const char *subject, void *base)
{
	struct config_origin *set_by = loader->place || !is_repeated(row) ? config_origin_of(loader, row) : NULL;
	bool overridden = set_by && set_by->layer > origin.layer;
	struct error err = {0};
	int r = config_value_apply(row, value, overridden ? NULL : base, &err);

	if (r == -ENOMEM)
		loader->out_of_memory = true;
	else if (r < 0)
		config_fault(loader, origin, subject, "%s", err.text);
	else if (row->unsupported && config_value_is_on(value))
		config_fault(loader, origin, subject, "is not available in this build yet");
	if (set_by && !overridden) {
		*set_by = origin;
		set_by->on = config_value_is_on(value);
	}
}

void config_set_default(struct config_loader *loader, const struct config_row *row, void *base)
{
	const struct toml_value value = config_value_from_word(row, row->fallback);

	if (value.type == TOML_STRING && value.size == 0) {
		if (config_value_set_text(row, base, "") < 0)
			loader->out_of_memory = true;
		return;
	}
	config_set(loader, row, &value, (struct config_origin){.layer = CONFIG_LAYER_DEFAULT}, row->key, base);
}

void config_set_defaults(struct config_loader *loader, const char *section, void *base)
{
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (section ? row->section && !strcmp(row->section, section) : !is_repeated(row))
			config_set_default(loader, row, config_row_base(row, base));
	}
}
