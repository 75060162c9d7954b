/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each script lists what each command accepts, and runs `pcapctl names` for names of the daemon or fleet that the words
 * so far address; two seconds at most. Without a daemon, interfaces come from /sys/class/net. After a comma the next
 * name is offered. Help texts are escaped for the shell.
 */
#include "pcapctl/cli/completion.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "pcapctl/cli/command_table.h"

/* In single quotes. */
static int append_quoted(struct buffer *out, const char *text)
{
	int r = buffer_append_string(out, "'");

	for (; r == 0 && *text; text++)
		r = *text == '\'' ? buffer_append_string(out, "'\\''") : buffer_append(out, text, 1);
	return r < 0 ? r : buffer_append_string(out, "'");
}

static int append_choices(struct buffer *out, const char *const *choices)
{
	int r = 0;

	for (size_t i = 0; r == 0 && choices[i]; i++)
		r = buffer_printf(out, "%s%s", i ? " " : "", choices[i]);
	return r;
}

static int append_commands(struct buffer *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++)
		r = buffer_printf(out, "%s%s", i ? " " : "", command_rows[i].name);
	return r;
}

/* --- bash --- */

static int bash_values(struct buffer *out, enum completion completion, const char *const *choices)
{
	int r = 0;

	switch (completion) {
	case COMPLETION_NONE:
		return buffer_append_string(out, "return");
	case COMPLETION_FILE:
		return buffer_append_string(out, "compopt -o default; return");
	case COMPLETION_CHOICE:
	case COMPLETION_COMMAND:
		r = buffer_append_string(out, "COMPREPLY=($(compgen -W '");
		if (r == 0)
			r = completion == COMPLETION_CHOICE ? append_choices(out, choices) : append_commands(out);
		return r < 0 ? r : buffer_append_string(out, "' -- \"$word\")); return");
	default:
		return buffer_printf(out, "_pcapctl_offer %s; return", completion_names[completion]);
	}
}

/* The values of commands that offer others for the option than its own row. */
static int bash_overrides(struct buffer *out, enum option_id option)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++) {
		const struct option_row row = option_row_of(&command_rows[i], option);

		if (row.choices == option_rows[option].choices)
			continue;
		r = buffer_printf(out, "[[ $command != %s ]] || { ", command_rows[i].name);
		if (r == 0)
			r = bash_values(out, row.completion, row.choices);
		if (r == 0)
			r = buffer_append_string(out, "; }\n\t\t");
	}
	return r;
}

static int bash_option_values(struct buffer *out)
{
	int r = buffer_append_string(out, "\tcase $before in\n");

	for (size_t i = OPTION_NONE + 1; r == 0 && i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_rows[i];

		if (!row->argument)
			continue;
		r = row->letter ? buffer_printf(out, "\t-%c | --%s) ", row->letter, row->name)
				: buffer_printf(out, "\t--%s) ", row->name);
		if (r == 0)
			r = bash_overrides(out, (enum option_id)i);
		if (r == 0)
			r = bash_values(out, row->completion, row->choices);
		if (r == 0)
			r = buffer_append_string(out, " ;;\n");
	}
	return r < 0 ? r : buffer_append_string(out, "\tesac\n");
}

static int bash_options_of(struct buffer *out, const struct command_row *command)
{
	int r = 0;

	for (size_t i = OPTION_NONE + 1; r == 0 && i < OPTION_COUNT; i++)
		if (command_accepts(command, (enum option_id)i))
			r = buffer_printf(out, " --%s", option_rows[i].name);
	return r;
}

static int bash_command(struct buffer *out, const struct command_row *command)
{
	int r = buffer_printf(out, "\t%s)\n\t\toptions='", command->name);

	if (r == 0)
		r = bash_options_of(out, command);
	if (r == 0)
		r = buffer_append_string(out, "'\n\t\t[[ $word == -* ]] || { ");
	if (r == 0)
		r = bash_values(out, command->completion, command->choices);
	return r < 0 ? r : buffer_append_string(out, "; }\n\t\t;;\n");
}

static int print_bash(struct buffer *out)
{
	int r = buffer_append_string(
		out, "# bash completion for pcapctl; printed by `pcapctl completion bash`.\n"
		     "_pcapctl_names() {\n"
		     "\tlocal -a words=(\"${COMP_WORDS[@]}\") target=()\n"
		     "\tlocal i\n"
		     "\t[[ $COMP_LINE ]] && read -ra words <<<\"$COMP_LINE\"\n"
		     "\tfor ((i = 1; i < ${#words[@]}; i++)); do\n"
		     "\t\tcase ${words[i]} in\n"
		     "\t\t--socket | --api | --redis | --config | --token-file | --ca-file)\n"
		     "\t\t\ttarget+=(\"${words[i]}\" \"${words[i + 1]}\") ;;\n"
		     "\t\t--socket=* | --api=* | --redis=* | --config=* | --token-file=* | --ca-file=*)\n"
		     "\t\t\ttarget+=(\"${words[i]}\") ;;\n"
		     "\t\t--node | --nodere | --node=* | --nodere=*) target+=(--node any) ;;\n"
		     "\t\tesac\n"
		     "\tdone\n"
		     "\tcommand timeout 2 \"${COMP_WORDS[0]}\" names \"$1\" \"${target[@]}\" 2>/dev/null ||\n"
		     "\t\t[[ $1 != interfaces ]] || command ls /sys/class/net 2>/dev/null\n"
		     "}\n"
		     "_pcapctl_offer() {\n"
		     "\tlocal names prefix=''\n"
		     "\tnames=$(_pcapctl_names \"$1\")\n"
		     "\t[[ $1 != interfaces && $1 != nodes ]] || names+=' any'\n"
		     "\t[[ $word != *,* ]] || prefix=${word%,*},\n"
		     "\tCOMPREPLY=($(compgen -P \"$prefix\" -W \"$names\" -- \"${word##*,}\"))\n"
		     "}\n"
		     "_pcapctl() {\n"
		     "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
		     "\tlocal command='' options='' i\n"
		     "\tCOMPREPLY=()\n");

	if (r == 0)
		r = buffer_append_string(out, "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
					      "\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++)
		r = buffer_printf(out, "%s%s", i ? " | " : "", command_rows[i].name);
	if (r == 0)
		r = buffer_append_string(out, ") command=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n");
	if (r == 0)
		r = bash_option_values(out);
	if (r == 0)
		r = buffer_append_string(out, "\tcase $command in\n\t'')\n\t\toptions='");
	if (r == 0)
		r = bash_options_of(out, NULL);
	if (r == 0)
		r = buffer_append_string(out, "'\n\t\t[[ $word == -* ]] || { ");
	if (r == 0)
		r = bash_values(out, COMPLETION_COMMAND, NULL);
	if (r == 0)
		r = buffer_append_string(out, "; }\n\t\t;;\n");
	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++)
		r = bash_command(out, &command_rows[i]);
	return r < 0 ? r
		     : buffer_append_string(out, "\tesac\n\tCOMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n}\n"
						 "complete -F _pcapctl pcapctl\n");
}

/* --- zsh --- */

static int zsh_action(struct buffer *out, enum completion completion, const char *const *choices)
{
	int r = 0;

	switch (completion) {
	case COMPLETION_NONE:
		return buffer_append_string(out, " ");
	case COMPLETION_FILE:
		return buffer_append_string(out, "_files");
	case COMPLETION_CHOICE:
	case COMPLETION_COMMAND:
		r = buffer_append_string(out, "(");
		if (r == 0)
			r = completion == COMPLETION_CHOICE ? append_choices(out, choices) : append_commands(out);
		return r < 0 ? r : buffer_append_string(out, ")");
	default: /* the blank keeps _arguments from adding words of its own */
		return buffer_printf(out, " _pcapctl_names %s", completion_names[completion]);
	}
}

/* Brackets and colons have a meaning to _arguments. */
static int zsh_text(struct buffer *out, const char *text)
{
	int r = 0;

	for (; r == 0 && *text; text++) {
		if (strchr("[]:\\", *text))
			r = buffer_append_string(out, "\\");
		if (r == 0)
			r = *text == '\'' ? buffer_append_string(out, "'\\''") : buffer_append(out, text, 1);
	}
	return r;
}

static int zsh_spelling(struct buffer *out, const struct option_row *row, const char *spelling)
{
	int r = buffer_printf(out, " \\\n\t\t\t'%s%s[", row->repeatable ? "*" : "", spelling);

	if (r == 0)
		r = zsh_text(out, row->help);
	if (r == 0)
		r = buffer_append_string(out, "]");
	if (r == 0 && row->argument) {
		r = buffer_printf(out, ":%s:", row->argument);
		if (r == 0)
			r = zsh_action(out, row->completion, row->choices);
	}
	return r < 0 ? r : buffer_append_string(out, "'");
}

static int zsh_option(struct buffer *out, const struct command_row *command, enum option_id option)
{
	const struct option_row row = option_row_of(command, option);
	char spelling[64];
	int r = 0;

	if (row.letter) {
		snprintf(spelling, sizeof(spelling), "-%c", row.letter);
		r = zsh_spelling(out, &row, spelling);
	}
	snprintf(spelling, sizeof(spelling), "--%s%s", row.name, row.argument ? "=" : "");
	return r < 0 ? r : zsh_spelling(out, &row, spelling);
}

static int zsh_command(struct buffer *out, const struct command_row *command)
{
	int r = buffer_printf(out, "\t\t%s)\n\t\t\t_arguments -s", command->name);

	for (size_t i = OPTION_NONE + 1; r == 0 && i < OPTION_COUNT; i++)
		if (command_accepts(command, (enum option_id)i))
			r = zsh_option(out, command, (enum option_id)i);
	if (r == 0)
		r = buffer_append_string(out, " \\\n\t\t\t'*::word:");
	if (r == 0)
		r = zsh_action(out, command->completion, command->choices);
	return r < 0 ? r : buffer_append_string(out, "'\n\t\t\t;;\n");
}

static int print_zsh(struct buffer *out)
{
	int r = buffer_append_string(
		out, "#compdef pcapctl\n"
		     "# zsh completion for pcapctl; printed by `pcapctl completion zsh`.\n"
		     "_pcapctl_names() {\n"
		     "\tlocal -a line=(${(z)BUFFER}) target names\n"
		     "\tlocal i\n"
		     "\tfor ((i = 2; i <= $#line; i++)); do\n"
		     "\t\tcase $line[i] in\n"
		     "\t\t(--socket|--api|--redis|--config|--token-file|--ca-file) target+=($line[i] $line[i+1]) ;;\n"
		     "\t\t(--socket=*|--api=*|--redis=*|--config=*|--token-file=*|--ca-file=*) target+=($line[i]) ;;\n"
		     "\t\t(--node|--nodere|--node=*|--nodere=*) target+=(--node any) ;;\n"
		     "\t\tesac\n"
		     "\tdone\n"
		     "\tnames=(${(f)\"$(command timeout 2 pcapctl names $1 $target 2>/dev/null)\"})\n"
		     "\t[[ $1 != interfaces || -n $names ]] || names=(/sys/class/net/*(N:t))\n"
		     "\t[[ $1 != (interfaces|nodes) ]] || names+=any\n"
		     "\tcompset -P '*,'\n"
		     "\tcompadd -a names\n"
		     "}\n"
		     "_pcapctl() {\n"
		     "\tlocal context state state_descr line\n"
		     "\ttypeset -A opt_args\n"
		     "\tlocal -a commands=(\n");

	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++) {
		r = buffer_printf(out, "\t\t'%s:", command_rows[i].name);
		if (r == 0)
			r = zsh_text(out, command_rows[i].summary);
		if (r == 0)
			r = buffer_append_string(out, "'\n");
	}
	if (r == 0)
		r = buffer_append_string(out, "\t)\n\t_arguments -C");
	for (size_t i = OPTION_NONE + 1; r == 0 && i < OPTION_COUNT; i++)
		if (option_rows[i].global)
			r = zsh_option(out, NULL, (enum option_id)i);
	if (r == 0)
		r = buffer_append_string(out, " \\\n\t\t\t'1:command:->command' '*::argument:->arguments'\n"
					      "\tcase $state in\n"
					      "\tcommand) _describe command commands ;;\n"
					      "\targuments)\n\t\tcase $words[1] in\n");
	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++)
		r = zsh_command(out, &command_rows[i]);
	return r < 0 ? r
		     : buffer_append_string(out, "\t\tesac\n\t\t;;\n\tesac\n}\n"
						 "if [[ $funcstack[1] == _pcapctl ]]; then\n\t_pcapctl \"$@\"\n"
						 "else\n\tcompdef _pcapctl pcapctl\nfi\n");
}

/* --- fish --- */

static int fish_values(struct buffer *out, enum completion completion, const char *const *choices)
{
	int r = 0;

	switch (completion) {
	case COMPLETION_NONE:
		return buffer_append_string(out, " -x");
	case COMPLETION_FILE:
		return buffer_append_string(out, " -r -F");
	case COMPLETION_CHOICE:
	case COMPLETION_COMMAND:
		r = buffer_append_string(out, " -x -a '");
		if (r == 0)
			r = completion == COMPLETION_CHOICE ? append_choices(out, choices) : append_commands(out);
		return r < 0 ? r : buffer_append_string(out, "'");
	default:
		return buffer_printf(out, " -x -a '(__pcapctl_names %s)'", completion_names[completion]);
	}
}

static int fish_option(struct buffer *out, const struct command_row *command, enum option_id option)
{
	const struct option_row row = option_row_of(command, option);
	int r = buffer_append_string(out, "complete -c pcapctl");

	if (r == 0 && command)
		r = buffer_printf(out, " -n '__fish_seen_subcommand_from %s'", command->name);
	if (r == 0 && row.letter)
		r = buffer_printf(out, " -s %c", row.letter);
	if (r == 0)
		r = buffer_printf(out, " -l %s", row.name);
	if (r == 0 && row.argument)
		r = fish_values(out, row.completion, row.choices);
	if (r == 0)
		r = buffer_append_string(out, " -d ");
	if (r == 0)
		r = append_quoted(out, row.help);
	return r < 0 ? r : buffer_append_string(out, "\n");
}

static int fish_command(struct buffer *out, const struct command_row *command)
{
	int r = buffer_printf(out, "complete -c pcapctl -n __fish_use_subcommand -a %s -d ", command->name);

	if (r == 0)
		r = append_quoted(out, command->summary);
	if (r == 0)
		r = buffer_append_string(out, "\n");
	for (const enum option_id *option = command->options; r == 0 && *option; option++)
		r = fish_option(out, command, *option);
	if (r < 0 || command->completion == COMPLETION_NONE)
		return r;
	r = buffer_printf(out, "complete -c pcapctl -n '__fish_seen_subcommand_from %s'", command->name);
	if (r == 0)
		r = fish_values(out, command->completion, command->choices);
	return r < 0 ? r : buffer_append_string(out, "\n");
}

static int print_fish(struct buffer *out)
{
	int r = buffer_append_string(
		out, "# fish completion for pcapctl; printed by `pcapctl completion fish`.\n"
		     "function __pcapctl_names\n"
		     "\tset -l prefix (string replace -r '[^,]*$' '' -- (commandline -ct))\n"
		     "\tset -l names (command timeout 2 pcapctl names $argv[1] 2>/dev/null)\n"
		     "\ttest $argv[1] = interfaces; and test -z \"$names\"; and set names (command ls /sys/class/net)\n"
		     "\tcontains $argv[1] interfaces nodes; and set -a names any\n"
		     "\tfor name in $names\n\t\techo $prefix$name\n\tend\n"
		     "end\n"
		     "complete -c pcapctl -f\n");

	for (size_t i = OPTION_NONE + 1; r == 0 && i < OPTION_COUNT; i++)
		if (option_rows[i].global)
			r = fish_option(out, NULL, (enum option_id)i);
	for (size_t i = 0; r == 0 && i < COMMAND_COUNT; i++)
		r = fish_command(out, &command_rows[i]);
	return r;
}

int completion_print(struct buffer *out, const char *shell)
{
	static const struct {
		const char *shell;
		int (*print)(struct buffer *out);
	} printers[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

	for (size_t i = 0; i < sizeof(printers) / sizeof(*printers); i++)
		if (strcmp(printers[i].shell, shell) == 0)
			return printers[i].print(out);
	return -EINVAL;
}
