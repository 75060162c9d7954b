/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses argv into the command, its options and its words, checked against the table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "pcapctl/cli/command_table.h"

#define OPTION_VALUES_MAX 256 /* of one repeatable option */
#define FILTER_BYTES_MAX 4096 /* the daemon's limit */

struct option_values {
	const char **items;
	size_t count;
};

struct command_line {
	const struct command_row *command;	   /* NULL: none was given */
	struct option_values values[OPTION_COUNT]; /* a switch that is set has the value "" */
	const char **words;			   /* without the command and the options */
	size_t word_count;
	bool to_stdout; /* a bare "-" stood before or after the filter */
	char *filter;	/* the words of a command with a filter, joined; NULL: none */
	char *redis;	/* the value of --redis, which is wiped from argv */
};

/*
 * Options may stand before, between and after the words; "--" ends them. Values point into argv, which must outlive
 * `line`. 0, or -EINVAL or -ENOMEM with the text in `err`, which suggests a name or where to find help. Call
 * command_line_deinit either way.
 */
warn_unused int command_line_parse(int argc, char **argv, struct command_line *line, struct error *err);
void command_line_deinit(struct command_line *line);

/* The last value; NULL: the option was not given. */
const char *command_line_value(const struct command_line *line, enum option_id option);
/* Where `capture` and `history` write: "-", a path, or NULL: the current directory, under the daemon's name. */
const char *command_line_output(const struct command_line *line);

/* Whether --format, or else the name of the output, asks for pcap. */
bool command_line_wants_pcap(const struct command_line *line);

bool command_line_has(const struct command_line *line, enum option_id option);
