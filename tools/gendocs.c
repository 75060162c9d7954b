/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Build-time generator: prints the example file, the help, completion scripts and manual pages from the tables of the
 * configuration and of pcapctl's commands. A manual page is a template whose line MARKER is replaced by the lists.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "config/config.h"
#include "pcapctl/cli/command_help.h"
#include "pcapctl/cli/completion.h"

#define MARKER ".\\\" @LISTS@\n"
#define OUTPUT_MAX (1u << 20) /* bytes */
#define LINE_SIZE 4096

static int print_manual(struct buffer *out, const char *path, int (*print_lists)(struct buffer *out))
{
	cleanup(cleanup_fclose) FILE *template = fopen(path, "re");
	char line[LINE_SIZE];
	int r = 0, markers = 0;

	if (!template)
		return -errno;
	while (r == 0 && fgets(line, sizeof(line), template)) {
		if (strcmp(line, MARKER) == 0) {
			markers++;
			r = print_lists(out);
		} else {
			r = buffer_append_string(out, line);
		}
	}
	if (r == 0 && (ferror(template) || markers != 1))
		r = -EINVAL;
	return r;
}

int main(int argc, char **argv)
{
	cleanup(buffer_deinit) struct buffer out = BUFFER_INIT(OUTPUT_MAX);
	int r;

	if (argc == 2 && strcmp(argv[1], "example") == 0) {
		r = config_print_example(&out);
	} else if (argc == 2 && strcmp(argv[1], "help") == 0) {
		r = config_print_help(&out);
	} else if (argc == 3 && strcmp(argv[1], "manual") == 0) {
		r = print_manual(&out, argv[2], config_print_manual);
	} else if (argc == 3 && strcmp(argv[1], "pcapctl") == 0) {
		r = print_manual(&out, argv[2], command_help_print_manual);
	} else if (argc == 3 && strcmp(argv[1], "completion") == 0) {
		r = completion_print(&out, argv[2]);
	} else {
		fprintf(stderr,
			"usage: gendocs example | help | manual TEMPLATE | pcapctl TEMPLATE | completion SHELL\n");
		return 2;
	}
	if (r < 0) {
		fprintf(stderr, "gendocs %s: %s\n", argv[1], strerror(-r));
		return 1;
	}
	if (fputs(buffer_text(&out), stdout) == EOF || fflush(stdout) == EOF) {
		fprintf(stderr, "gendocs: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
