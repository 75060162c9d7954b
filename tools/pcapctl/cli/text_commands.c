/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that print text made from the command table: help and completion. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "pcapctl/cli/command_help.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/completion.h"
#include "pcapctl/output/terminal.h"

#define TEXT_MAX ((size_t)1 << 20) /* bytes of help or a script */

static enum exit_status print_text(struct buffer *text, int r)
{
	if (r == 0)
		fputs(buffer_text(text), stdout);
	buffer_deinit(text);
	if (r < 0)
		terminal_error("%s", strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

enum exit_status print_help_of(const struct command_row *command)
{
	struct buffer text = BUFFER_INIT(TEXT_MAX);

	return print_text(&text, command_help_print(&text, command));
}

enum exit_status print_help(const struct command_context *context)
{
	const struct command_row *command;

	if (context->line->word_count == 0)
		return print_help_of(NULL);
	command = command_find(context->line->words[0]);
	if (command)
		return print_help_of(command);
	terminal_error("unknown command; `pcapctl --help` lists them");
	return STATUS_USAGE;
}

enum exit_status print_completion(const struct command_context *context)
{
	struct buffer text = BUFFER_INIT(TEXT_MAX);
	int r = completion_print(&text, context->line->words[0]);

	if (r != -EINVAL)
		return print_text(&text, r);
	terminal_error("unknown shell; completion supports bash, zsh and fish");
	return STATUS_USAGE;
}
