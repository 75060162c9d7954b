/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the table for people: -help, the example file and the manual's lists. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "config/config_table.h"

#define HELP_COLUMN 26

/* The unit to print after a default that is a plain number, or "". */
static const char *unit_of(const struct config_row *row)
{
	const bool plain = *row->fallback && strspn(row->fallback, "0123456789") == strlen(row->fallback);

	if (plain && row->type == CONFIG_DURATION)
		return " s";
	return plain && row->type == CONFIG_BYTES ? " bytes" : "";
}

static int print_option(struct buffer *out, const struct config_row *row)
{
	char left[64];
	int r;

	snprintf(left, sizeof(left), "  -%s %s", row->option, row->argument ? row->argument : "");
	r = buffer_printf(out, "%-*s%s", HELP_COLUMN, left, row->help);
	if (r == 0 && row->fallback_text)
		r = buffer_printf(out, " (default: %s)", row->fallback_text);
	else if (r == 0 && row->type != CONFIG_BOOL && *row->fallback)
		r = buffer_printf(out, " (default: %s%s)", row->fallback, unit_of(row));
	return r < 0 ? r : buffer_append_string(out, "\n");
}

int config_print_help(struct buffer *out)
{
	int r = buffer_append_string(out,
				     "Usage: pcapdaemon [-option [value]]...\n\n"
				     "Write -option value or -option=value, with one dash or two; a switch needs no\n"
				     "value. The command line overrides the configuration file, which has more\n"
				     "settings.\n\n");

	for (size_t i = 0; r == 0 && i < config_row_count; i++)
		if (config_rows[i].option)
			r = print_option(out, &config_rows[i]);
	return r;
}

/* The default as TOML. */
static int print_toml(struct buffer *out, const struct config_row *row)
{
	bool digits = *row->fallback && strspn(row->fallback, "0123456789") == strlen(row->fallback);

	if (row->example)
		return buffer_append_string(out, row->example);
	if (row->type == CONFIG_STRINGS)
		return buffer_append_string(out, "[]");
	if (row->type == CONFIG_BOOL || (row->type == CONFIG_SWITCH && *row->fallback) ||
	    (digits && (row->type == CONFIG_SNAP || !config_type_is_text(row->type))))
		return buffer_append_string(out, row->fallback);
	return buffer_printf(out, "\"%s\"", row->fallback);
}

static int print_example_key(struct buffer *out, const struct config_row *row)
{
	int r = buffer_printf(out, "# %s", row->help);

	if (r == 0 && row->fallback_text)
		r = buffer_printf(out, " (default: %s)", row->fallback_text);
	if (r == 0 && row->unsupported)
		r = buffer_append_string(out, " (not available in this build yet)");
	if (r == 0 && row->of_type)
		return buffer_printf(out, "; with type = \"%s\": %s = \"\"\n", row->of_type, row->key);
	if (r == 0)
		r = buffer_printf(out, "\n#%s = ", row->key);
	if (r == 0)
		r = print_toml(out, row);
	return r < 0 ? r : buffer_append_string(out, "\n");
}

static bool is_destination(const struct config_section *section)
{
	return section->repeated && section->items_offset == offsetof(struct config, destinations);
}

/* The keys that [[destination]] has with the type, each after `before`. */
static int print_type_keys(struct buffer *out, const struct config_destination_type *type, const char *before,
			   const char *after)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (config_row_is_of_type(row, type) && !config_row_is_of_type(row, NULL))
			r = buffer_printf(out, "%s%s%s", before, row->key, after);
	}
	return r;
}

static int print_example_types(struct buffer *out)
{
	int r = buffer_append_string(out, "# The other keys are those of the type, as in the section of its name:\n");

	for (size_t i = 0; r == 0 && i < config_destination_type_count; i++) {
		r = buffer_printf(out, "# %s:", config_destination_types[i].name);
		if (r == 0)
			r = print_type_keys(out, &config_destination_types[i], " ", "");
		if (r == 0)
			r = buffer_append_string(out, "\n");
	}
	return r;
}

int config_print_example(struct buffer *out)
{
	int r = buffer_append_string(
		out, "# Configuration of pcapdaemon (TOML). Every key is here with its default; to change one,\n"
		     "# remove the # in front of it. Check the file with: pcapdaemon -check -config FILE\n"
		     "# Plain numbers are bytes or seconds; strings like \"64MiB\" or \"1.5s\" have a unit.\n");

	for (size_t s = 0; r == 0 && s < config_section_count; s++) {
		const struct config_section *section = &config_sections[s];

		r = buffer_printf(out, section->repeated ? "\n# %s\n#[[%s]]\n" : "\n# %s\n[%s]\n", section->help,
				  section->name);
		for (size_t i = 0; r == 0 && i < config_row_count; i++)
			if (config_rows[i].section && !strcmp(config_rows[i].section, section->name))
				r = print_example_key(out, &config_rows[i]);
		if (r == 0 && is_destination(section))
			r = print_example_types(out);
	}
	return r;
}

/* Prints the text as a sentence, on a line of its own. */
static int print_sentence(struct buffer *out, const char *text)
{
	return buffer_printf(out, "%c%s.\n", toupper((unsigned char)text[0]), text + 1);
}

static int print_manual_text(struct buffer *out, const struct config_row *row)
{
	int r = print_sentence(out, row->help);

	if (r == 0 && row->unsupported)
		r = buffer_append_string(out, "Not available in this build yet.\n");
	if (r == 0 && row->fallback_text)
		r = buffer_printf(out, "Default: %s.\n", row->fallback_text);
	else if (r == 0 && *row->fallback && (row->section || row->type != CONFIG_BOOL))
		r = buffer_printf(out, "Default: %s%s.\n", row->fallback, unit_of(row));
	return r;
}

static int print_manual_options(struct buffer *out)
{
	int r = buffer_append_string(out, ".Sh OPTIONS\n"
					  "An option has one dash or two; its value is the next word, or follows\n"
					  ".Ql = .\n"
					  "A switch alone means true;\n"
					  ".Ql =false\n"
					  "turns it off.\n"
					  "The command line overrides the configuration file.\n"
					  ".Bl -tag -width Ds\n");

	for (size_t i = 0; r == 0 && i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (!row->option)
			continue;
		r = buffer_printf(out, row->argument ? ".It Fl %s Ar %s\n" : ".It Fl %s\n", row->option, row->argument);
		if (r == 0)
			r = print_manual_text(out, row);
	}
	return r < 0 ? r : buffer_append_string(out, ".El\n");
}

static int print_manual_types(struct buffer *out)
{
	int r = buffer_append_string(out, "The keys of each type mean what they mean in the section of its name:\n"
					  ".Bl -tag -width Ds\n");

	for (size_t i = 0; r == 0 && i < config_destination_type_count; i++) {
		r = buffer_printf(out, ".It type = Qq %s\n", config_destination_types[i].name);
		if (r == 0)
			r = print_type_keys(out, &config_destination_types[i], ".Cm ", "\n");
	}
	return r < 0 ? r : buffer_append_string(out, ".El\n");
}

static int print_manual_section(struct buffer *out, const struct config_section *section)
{
	int r = buffer_printf(out, section->repeated ? ".Ss Sections %s\n" : ".Ss Section %s\n", section->name);

	if (r == 0)
		r = print_sentence(out, section->help);
	if (r == 0 && section->repeated)
		r = buffer_printf(out, "Each begins with\n.Ql [[%s]] .\n", section->name);
	if (r == 0)
		r = buffer_append_string(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; r == 0 && i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (!row->section || strcmp(row->section, section->name) != 0)
			continue;
		r = buffer_printf(out, ".It Cm %s No = Ar %s\n", row->key,
				  row->argument ? row->argument : "true|false");
		if (r == 0)
			r = print_manual_text(out, row);
		if (r == 0 && row->of_type)
			r = buffer_printf(out, "Only with the type\n.Qq %s .\n", row->of_type);
	}
	if (r == 0)
		r = buffer_append_string(out, ".El\n");
	if (r == 0 && is_destination(section))
		r = print_manual_types(out);
	return r;
}

int config_print_manual(struct buffer *out)
{
	int r = print_manual_options(out);

	if (r == 0)
		r = buffer_append_string(
			out,
			".Sh CONFIGURATION FILE\n"
			"The file is TOML.\n"
			"Unknown sections and keys are faults.\n"
			"Sizes are numbers of bytes, or strings like\n"
			".Qq 64MiB\n.Pq or 64M ;\n"
			"times are numbers of seconds, or strings like\n"
			".Qq 1.5s ;\n"
			"see\n"
			".Sx UNITS .\n"
			"A feature that is not available in this build is a fault only if it is switched on.\n"
			".Pp\n"
			"Keep secrets in files of their own: keys that end in\n"
			".Cm _file\n"
			"name one, whose last newline is not part of the secret.\n"
			"If neither a secret nor its file is given, the systemd credential of the secret's name, like\n"
			".Cm cloudshark.token\n"
			"or\n"
			".Cm redis.auth ,\n"
			"is used if it exists; that of a named destination is called like\n"
			".Cm destination.NAME.token .\n"
			".Pp\n"
			"Passwords and tokens from a\n"
			".Cm _file\n"
			"key, certificates and their keys may be replaced while the daemon runs, at best by renaming a "
			"new\n"
			"file into place.\n"
			"They are read again when they have changed: at each login and TLS connection to Redis, "
			"before\n"
			"each upload, at each request to the control API.\n"
			"Connections that are open go on.\n"
			"If a file cannot be read, the old content stays in use, and the log says so\n"
			".Pq Li secret-unread , api-certificate-unread .\n"
			"Systemd credentials change only with a restart.\n");
	for (size_t s = 0; r == 0 && s < config_section_count; s++)
		r = print_manual_section(out, &config_sections[s]);
	return r;
}
