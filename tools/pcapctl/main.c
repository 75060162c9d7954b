/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapctl: the command line in, the command's function, the exit status out. What can be typed stands in
 * cli/command_table.c, what it does in local/ (one daemon, over its control API) and fleet/ (many, over Redis).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
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
	return line->command->standalone ? line->command->standalone(&context) : run_for_target(&context);
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
			"what is to be done? `pcapctl --help` lists the commands; try `pcapctl capture -i lo icmp`");
		return STATUS_USAGE;
	}
	return run_command(line);
}

/* What the parts shared with the daemon log is for a daemon's log. */
static void discard_log(void *ctx, int severity, const char *id, const struct log_field *fields)
{
	(void)ctx;
	(void)severity;
	(void)id;
	(void)fields;
}

/* What is opened in the place of one that is closed would be taken for it. */
static void reserve_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* `| head`, for one: he who reads has enough. */
static bool is_stdout_closed(void)
{
	struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&fd, 1, 0) > 0 && fd.revents & POLLERR;
}

/* For all commands: a result that did not arrive is none. */
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

	reserve_standard_fds();
	log_divert(discard_log, NULL);
	signal(SIGPIPE, SIG_IGN);
	status = flush_results(run(argc, argv, &line));
	command_line_deinit(&line);
	return status;
}
