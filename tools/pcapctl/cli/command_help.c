/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the command table as help for a terminal and as mdoc for the manual page. */
#include "pcapctl/cli/command_help.h"

#include <string.h>

#include "base/buffer.h"
#include "pcapctl/cli/command_table.h"

#define HELP_COLUMN 28	  /* where an option's help starts */
#define SUMMARY_COLUMN 16 /* where a command's summary starts */
#define HELP_WIDTH 80
#define LINE_SIZE 512

/* --- at the terminal --- */

static int print_wrapped(struct buffer *out, const char *text, size_t column, size_t indent)
{
	int r = 0;

	while (r == 0 && *text) {
		size_t word = strcspn(text, " "), rest = word + strspn(text + word, " ");

		const bool first = column == indent;
		const bool breaks = !first && column + 1 + word > HELP_WIDTH;

		if (breaks)
			r = buffer_printf(out, "\n%*s", (int)indent, "");
		else if (!first)
			r = buffer_append_string(out, " ");
		if (r == 0)
			r = buffer_append(out, text, word);
		column = breaks ? indent + word : column + !first + word;
		text += rest;
	}
	return r < 0 ? r : buffer_append_string(out, "\n");
}

static int print_option(struct buffer *out, const struct command_row *command, enum option_id id)
{
	const struct option_row row = option_row_of(command, id);
	size_t start = out->size, width;
	int r = row.letter ? buffer_printf(out, "  -%c, --%s", row.letter, row.name)
			   : buffer_printf(out, "      --%s", row.name);

	if (r == 0 && row.argument)
		r = buffer_printf(out, " %s", row.argument);
	if (r < 0)
		return r;
	width = out->size - start;
	if (width + 2 > HELP_COLUMN)
		r = buffer_printf(out, "\n%*s", HELP_COLUMN, "");
	else
		r = buffer_printf(out, "%*s", (int)(HELP_COLUMN - width), "");
	return r < 0 ? r : print_wrapped(out, row.help, HELP_COLUMN, HELP_COLUMN);
}

static int print_global_options(struct buffer *out)
{
	int r = buffer_append_string(out, "\nOptions of every command:\n");

	for (size_t i = OPTION_NONE + 1; r == 0 && i < OPTION_COUNT; i++)
		if (option_rows[i].global)
			r = print_option(out, NULL, (enum option_id)i);
	return r;
}

static int print_overall(struct buffer *out)
{
	int r = buffer_append_string(out,
				     "usage: pcapctl COMMAND [OPTION...] [ARGUMENT...]\n\n"
				     "Captures packets on this host or on a fleet of hosts, through pcapdaemon(8).\n\n"
				     "Commands:\n");

	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++) {
		r = buffer_printf(out, "  %-*s", SUMMARY_COLUMN - 2, command_rows[i].name);
		if (r == 0)
			r = print_wrapped(out, command_rows[i].summary, SUMMARY_COLUMN, SUMMARY_COLUMN);
	}
	if (r == 0)
		r = print_global_options(out);
	return r < 0 ? r
		     : buffer_append_string(out, "\nTry: pcapctl capture -i lo icmp\nSee also `pcapctl COMMAND --help` "
						 "and pcapctl(1).\n");
}

static int print_details(struct buffer *out, const char *details)
{
	char line[LINE_SIZE];
	int r = 0;

	while (r == 0 && *details) {
		size_t size = strcspn(details, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)size, details);
		r = print_wrapped(out, line, 0, 0);
		details += size + (details[size] == '\n');
	}
	return r;
}

static int print_command(struct buffer *out, const struct command_row *command)
{
	int r = buffer_printf(out, "usage: pcapctl %s%s%s%s\n\n", command->name,
			      command->options[0] ? " [OPTION...]" : "", *command->arguments ? " " : "",
			      command->arguments);

	char line[LINE_SIZE];
	snprintf(line, sizeof(line), "%s: %s.", command->name, command->summary);
	if (r == 0)
		r = print_wrapped(out, line, 0, 0);
	if (r == 0)
		r = print_details(out, command->details);
	if (r == 0 && command->options[0])
		r = buffer_append_string(out, "\nOptions:\n");
	for (const enum option_id *option = command->options; r == 0 && *option; option++)
		r = print_option(out, command, *option);
	return r < 0 ? r : print_global_options(out);
}

int command_help_print(struct buffer *out, const struct command_row *command)
{
	return command ? print_command(out, command) : print_overall(out);
}

/* --- mdoc --- */

/* Escapes what mdoc would take for a macro or an escape. */
static int print_mdoc_text(struct buffer *out, const char *text)
{
	int r = *text == '.' || *text == '\'' ? buffer_append_string(out, "\\&") : 0;

	for (; r == 0 && *text; text++) {
		if (*text == '\\')
			r = buffer_append_string(out, "\\e");
		else if (*text == '-' && text[1] == '-')
			r = buffer_append_string(out, "\\-");
		else
			r = buffer_append(out, text, 1);
	}
	return r;
}

/* Adds a full stop and a capital letter, unless the first word is literal ("http[s]://…"). */
static int print_mdoc_sentence(struct buffer *out, const char *text)
{
	bool literal = strcspn(text, "[/=") < strcspn(text, " ");
	char first = !literal && *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
	int r = buffer_append(out, &first, 1);

	if (r == 0)
		r = print_mdoc_text(out, text + 1);
	return r < 0 ? r : buffer_append_string(out, ".\n");
}

static int print_mdoc_option(struct buffer *out, const struct command_row *command, enum option_id id)
{
	const struct option_row row = option_row_of(command, id);
	int r = row.letter ? buffer_printf(out, ".It Fl %c , \\-%s", row.letter, row.name)
			   : buffer_printf(out, ".It Fl \\-%s", row.name);

	if (r == 0 && row.argument)
		r = strpbrk(row.argument, "[]") ? -1 : buffer_printf(out, " Ar %s", row.argument);
	if (r == 0)
		r = buffer_append_string(out, "\n");
	return r < 0 ? r : print_mdoc_sentence(out, row.help);
}

static int print_mdoc_arguments(struct buffer *out, const char *arguments)
{
	if (!*arguments)
		return 0;
	if (arguments[0] == '[') /* "[NAME...]" */
		return buffer_printf(out, " Op Ar %.*s", (int)strcspn(arguments + 1, "]"), arguments + 1);
	return buffer_printf(out, " Ar %s", arguments);
}

static int print_mdoc_command(struct buffer *out, const struct command_row *command)
{
	int r = buffer_printf(out, ".It Cm %s%s", command->name, command->options[0] ? " Oo Ar option ... Oc" : "");

	if (r == 0)
		r = print_mdoc_arguments(out, command->arguments);
	if (r == 0)
		r = buffer_append_string(out, "\n");
	if (r == 0)
		r = print_mdoc_sentence(out, command->summary);
	if (r == 0)
		r = print_mdoc_text(out, command->details);
	if (r < 0 || !command->options[0])
		return r;
	r = buffer_append_string(out, ".Bl -tag -width Ds\n");
	for (const enum option_id *option = command->options; r == 0 && *option; option++)
		r = print_mdoc_option(out, command, *option);
	return r < 0 ? r : buffer_append_string(out, ".El\n");
}

int command_help_print_manual(struct buffer *out)
{
	int r = buffer_append_string(out, ".Sh COMMANDS\n.Bl -tag -width Ds\n");

	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++)
		r = print_mdoc_command(out, &command_rows[i]);
	if (r == 0)
		r = buffer_append_string(out, ".El\n.Sh OPTIONS\nEvery command accepts these.\n.Bl -tag -width Ds\n");
	for (size_t i = OPTION_NONE + 1; r == 0 && i < OPTION_COUNT; i++)
		if (option_rows[i].global)
			r = print_mdoc_option(out, NULL, (enum option_id)i);
	return r < 0 ? r : buffer_append_string(out, ".El\n");
}
