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

#include "base/buffer.h"
#include "base/log.h"
#include "pcapctl/cli/command_help.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/completion.h"
#include "pcapctl/output/terminal.h"

#define TEXT_MAX ((size_t)1 << 20) /* bytes of help or a script */

typedef enum exit_status (*perform)(const struct command_context *context);

static const struct {
	perform local, fleet;
} performers[COMMAND_COUNT] = {
	[COMMAND_CAPTURE] = {local_capture, fleet_capture},
	[COMMAND_HISTORY] = {local_history, NULL},
	[COMMAND_LIST] = {local_list, NULL},
	[COMMAND_SHOW] = {local_show, NULL},
	[COMMAND_GET] = {local_fetch, fleet_fetch},
	[COMMAND_STOP] = {local_stop, NULL},
	[COMMAND_STATUS] = {local_status, fleet_status},
	[COMMAND_NODES] = {NULL, fleet_nodes},
	[COMMAND_WATCH] = {local_watch, fleet_watch},
};

static enum exit_status print_text(struct buffer *text, int r)
{
	if (r == 0)
		fputs(buffer_text(text), stdout);
	buffer_deinit(text);
	if (r < 0)
		terminal_error("%s", strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_OK;
}

static enum exit_status help(const struct command_row *command)
{
	struct buffer text = BUFFER_INIT(TEXT_MAX);

	return print_text(&text, command_help_print(&text, command));
}

static enum exit_status help_about(const char *name)
{
	const struct command_row *command = command_find(name);

	if (command)
		return help(command);
	terminal_error("there is no such command; `pcapctl --help` lists them");
	return STATUS_USAGE;
}

static enum exit_status completion(const char *shell)
{
	struct buffer text = BUFFER_INIT(TEXT_MAX);
	int r = completion_print(&text, shell);

	if (r != -EINVAL)
		return print_text(&text, r);
	terminal_error("completion is there for bash, zsh and fish");
	return STATUS_USAGE;
}

static enum exit_status with_place(const struct command_line *line, const struct terminal *terminal)
{
	const enum command_id id = command_id_of(line->command);
	struct command_target target;
	struct error err;
	int r = command_target_resolve(line, &target, &err);
	const struct command_context context = {.line = line, .target = &target, .terminal = terminal};
	enum exit_status status = STATUS_USAGE;

	if (r < 0)
		terminal_error("%s", err.text);
	else
		status = target.fleet ? performers[id].fleet(&context) : performers[id].local(&context);
	command_target_deinit(&target);
	return status;
}

static enum exit_status run_command(const struct command_line *line)
{
	const char *write_to = command_line_value(line, OPTION_WRITE),
		   *merge_to = command_line_value(line, OPTION_MERGE);
	struct terminal terminal;

	terminal_init(&terminal, line,
		      line->to_stdout || (write_to && strcmp(write_to, "-") == 0) ||
			      (merge_to && strcmp(merge_to, "-") == 0));
	switch (command_id_of(line->command)) {
	case COMMAND_HELP:
		return line->word_count ? help_about(line->words[0]) : help(NULL);
	case COMMAND_COMPLETION:
		return completion(line->words[0]);
	case COMMAND_CHECK:
		return check_file(&(struct command_context){.line = line, .terminal = &terminal});
	default:
		return with_place(line, &terminal);
	}
}

static enum exit_status run(int argc, char **argv, struct command_line *line)
{
	struct error err;

	if (command_line_parse(argc, argv, line, &err) < 0) {
		terminal_error("%s", err.text);
		return STATUS_USAGE;
	}
	if (command_line_has(line, OPTION_HELP))
		return help(line->command);
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
