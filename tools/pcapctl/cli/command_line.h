/* SPDX-License-Identifier: BSD-2-Clause */
/* argv → the command, its options and its words, all checked against the table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "pcapctl/cli/command_table.h"

#define OPTION_VALUES_MAX 256 /* of one repeatable option */
#define FILTER_BYTES_MAX 4096 /* as the daemon takes */

struct option_values {
	const char **items;
	size_t count;
};

struct command_line {
	const struct command_row *command;	   /* NULL: none was given */
	struct option_values values[OPTION_COUNT]; /* a switch that is set has the value "" */
	const char **words;			   /* what is no option, the command left out */
	size_t word_count;
	bool to_stdout; /* a bare "-" stood before or behind the filter */
	char *filter;	/* the words of a command with a filter, joined; NULL: none */
	char *redis;	/* the value of --redis, which is wiped from argv */
};

/*
 * Options may stand before, between and behind the words; "--" ends them. Values point into argv, which must stay.
 * 0, or -EINVAL with the text in `err` (a suggestion or where to find help included). command_line_deinit either way.
 */
warn_unused int command_line_parse(int argc, char **argv, struct command_line *line, struct error *err);
void command_line_deinit(struct command_line *line);

/* The (last) value, NULL if the option was not given. */
const char *command_line_value(const struct command_line *line, enum option_id option);
bool command_line_has(const struct command_line *line, enum option_id option);
