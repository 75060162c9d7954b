/* SPDX-License-Identifier: BSD-2-Clause */
/* How pcapctl prints: for people at a terminal, for a pipe, for programs. Set up once, then read. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"

struct command_line;

struct terminal {
	bool json;     /* results are JSON */
	bool quiet;    /* no notes */
	bool colors;   /* results have colours */
	bool progress; /* a progress line can be shown on stderr */
	FILE *results; /* stdout, or stderr if the packets go to stdout */
	size_t width;  /* of the terminal that shows them, in columns; 0: none does */
};

/* NO_COLOR, TERM and whether stdout and stderr are terminals decide. `packets_to_stdout`: results go to stderr. */
void terminal_init(struct terminal *terminal, const struct command_line *line, bool packets_to_stdout);

enum tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_BUSY, TONE_FAINT, TONE_HEAD };

/* Escape sequences around a text, "" without colours. */
const char *terminal_begin(const struct terminal *terminal, enum tone tone);
const char *terminal_end(const struct terminal *terminal, enum tone tone);

/* The tone of an event's or a capture's state. */
enum tone terminal_tone_of(const char *state);

/* Print a line to stderr, after "pcapctl: ". The caller makes untrusted text printable. */
void terminal_error(const char *fmt, ...) printf_like(1, 2);
void terminal_note(const struct terminal *terminal, const char *fmt, ...) printf_like(2, 3); /* not if quiet */

/* Columns of the terminal on stderr. */
size_t terminal_width(void);
