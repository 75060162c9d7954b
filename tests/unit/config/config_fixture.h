/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the configuration tests: a private directory, loading, and assertions on faults. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "config/config.h"

extern struct buffer fixture_faults;  /* of the last load */
extern struct config *fixture_config; /* of the last load, NULL if it was refused */
extern char fixture_directory[];

int fixture_setup(void **state);    /* before each test: an empty directory, nothing loaded */
int fixture_teardown(void **state); /* after each */

/* Writes a file into the directory; returns its path, which stays valid for seven more calls. */
const char *fixture_file(const char *name, const char *content);
const char *fixture_path(const char *name);

/* Loads a text as a file called "t.toml", or a command line (NULL-terminated, without the program's name). */
int load_text(const char *text);
int load_text_for_client(const char *text);
int load_arguments(const char *first, ...) __attribute__((sentinel));

void assert_loads(const char *text);
/* Asserts that the text is refused and that `line` is one of the faults. */
void assert_fault(const char *text, const char *line);
void assert_has_line(const char *line);
