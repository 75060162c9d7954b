/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapctl parses the command line, runs the command and exits with its status. cli/command_table.c lists the commands
 * and options; local/ runs commands on one daemon (control API), fleet/ on many (Redis).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/standard_fds.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/output/terminal.h"

static enum exit_status run_for_target(struct command_context *context)
{
	const struct command_row *command = context->line->command;
	enum exit_status status = STATUS_USAGE;
	struct command_target target;
	struct error err;

	context->target = &target;
	if (command_target_resolve(context->line, &target, &err) < 0)
		terminal_error("%s", err.text);
	else
		status = target.fleet ? command->fleet(context) : command->local(context);
	context->target = NULL;
	command_target_deinit(&target);
	return status;
}

static enum exit_status run_command(const struct command_line *line)
{
	const char *write_to = command_line_value(line, OPTION_WRITE),
		   *merge_to = command_line_value(line, OPTION_MERGE);
	struct terminal terminal;
	struct command_context context = {.line = line, .terminal = &terminal};

	terminal_init(&terminal, line,
		      line->to_stdout || (write_to && strcmp(write_to, "-") == 0) ||
			      (merge_to && strcmp(merge_to, "-") == 0));
	const bool asks = !line->command->standalone || command_line_has(line, OPTION_DESTINATIONS);
	return asks ? run_for_target(&context) : line->command->standalone(&context);
}

static enum exit_status run(int argc, char **argv, struct command_line *line)
{
	struct error err;

	if (command_line_parse(argc, argv, line, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_USAGE;
	}
	if (command_line_has(line, OPTION_HELP))
		return print_help_of(line->command);
	if (command_line_has(line, OPTION_VERSION)) {
		puts("pcapctl " PCAPDAEMON_VERSION);
		return STATUS_OK;
	}
	if (!line->command) {
		terminal_error(
			"missing command; `pcapctl --help` lists the commands; try `pcapctl capture -i lo icmp`");
		return STATUS_USAGE;
	}
	return run_command(line);
}

/* Code shared with the daemon logs for a daemon; pcapctl discards that. */
static void discard_log(void *ctx, int severity, const char *id, const struct log_field *fields)
{
	(void)ctx;
	(void)severity;
	(void)id;
	(void)fields;
}

/* The reader has exited, as with `| head`. */
static bool is_stdout_closed(void)
{
	struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&fd, 1, 0) > 0 && fd.revents & POLLERR;
}

/* Any command fails if its results could not be written. */
static enum exit_status flush_results(enum exit_status status)
{
	if (!ferror(stdout)) /* else errno still has the reason */
		errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (is_stdout_closed())
		return STATUS_FAILED;
	terminal_error("cannot write to standard output%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
	return STATUS_FAILED;
}

int main(int argc, char **argv)
{
	struct command_line line = {0};
	enum exit_status status;

	standard_fds_reserve();
	log_divert(discard_log, NULL);
	signal(SIGPIPE, SIG_IGN);
	status = flush_results(run(argc, argv, &line));
	command_line_deinit(&line);
	return status;
}
