/* SPDX-License-Identifier: BSD-2-Clause */
/* Depends on isatty, NO_COLOR (no-color.org: set and not empty) and TERM. */
#include "pcapctl/output/terminal.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "pcapctl/cli/command_line.h"

#define WIDTH_DEFAULT 80

static bool has_capabilities(void)
{
	const char *term = getenv("TERM");

	return term && *term && strcmp(term, "dumb") != 0;
}

static size_t width_of(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : WIDTH_DEFAULT;
}

void terminal_init(struct terminal *terminal, const struct command_line *line, bool packets_to_stdout)
{
	const char *no_color = getenv("NO_COLOR");
	int results_fd = packets_to_stdout ? STDERR_FILENO : STDOUT_FILENO;

	*terminal = (struct terminal){
		.json = command_line_has(line, OPTION_JSON),
		.quiet = command_line_has(line, OPTION_QUIET),
		.results = packets_to_stdout ? stderr : stdout,
	};
	terminal->width = isatty(results_fd) ? width_of(results_fd) : 0;
	terminal->colors = isatty(results_fd) && has_capabilities() && !(no_color && *no_color);
	terminal->progress = isatty(STDERR_FILENO) && has_capabilities() && !terminal->quiet;
}

const char *terminal_begin(const struct terminal *terminal, enum tone tone)
{
	static const char *const sequences[] = {
		[TONE_PLAIN] = "",	  [TONE_GOOD] = "\033[32m", [TONE_BAD] = "\033[31m",
		[TONE_BUSY] = "\033[33m", [TONE_FAINT] = "\033[2m", [TONE_HEAD] = "\033[1m",
	};

	return terminal->colors ? sequences[tone] : "";
}

const char *terminal_end(const struct terminal *terminal, enum tone tone)
{
	return terminal->colors && tone != TONE_PLAIN ? "\033[0m" : "";
}

enum tone terminal_tone_of(const char *state)
{
	static const struct {
		const char *state;
		enum tone tone;
	} tones[] = {
		{"done", TONE_GOOD},	 {"accepted", TONE_BUSY},   {"running", TONE_BUSY}, {"arming", TONE_BUSY},
		{"captured", TONE_BUSY}, {"delivering", TONE_BUSY}, {"failed", TONE_BAD},   {"rejected", TONE_BAD},
		{"spooled", TONE_BAD},	 {"no answer", TONE_BAD},   {"away", TONE_BAD},	    {"up", TONE_GOOD},
		{"down", TONE_BAD},	 {"suppressed", TONE_BAD},  {"deaf", TONE_BAD},	    {"stopped", TONE_FAINT},
	};

	for (size_t i = 0; i < sizeof(tones) / sizeof(*tones); i++)
		if (strcmp(tones[i].state, state) == 0)
			return tones[i].tone;
	return TONE_PLAIN;
}

static void __attribute__((format(printf, 1, 0))) print_line(const char *fmt, va_list args)
{
	fputs("pcapctl: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

void terminal_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(fmt, args);
	va_end(args);
}

void terminal_note(const struct terminal *terminal, const char *fmt, ...)
{
	va_list args;

	if (terminal->quiet)
		return;
	va_start(args, fmt);
	print_line(fmt, args);
	va_end(args);
}

size_t terminal_width(void)
{
	return width_of(STDERR_FILENO);
}
