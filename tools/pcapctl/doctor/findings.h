/* SPDX-License-Identifier: BSD-2-Clause */
/* What `pcapctl doctor` has found: a line each, with what to do. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "pcapctl/cli/exit_status.h"

struct findings;
struct terminal;

enum finding_state {
	FINDING_OK,
	FINDING_NOTE,	 /* good to know; nothing has to be done */
	FINDING_WARNING, /* works, but not as it should */
	FINDING_FAULT,	 /* does not work */
};

#define FINDINGS_MAX 512
#define FINDING_TEXT_MAX 1024

/* NULL on ENOMEM. */
struct findings *findings_new(void);
void findings_free(struct findings *findings);

/*
 * Adds one: the check's name, which does not change from version to version, what is so, and what to do ("": nothing).
 * Both are made printable. Beyond FINDINGS_MAX, or without memory, findings_print fails.
 */
void finding_add(struct findings *findings, enum finding_state state, const char *check, const char *advice,
		 const char *fmt, ...) printf_like(5, 6);

/* The text of an error; what follows its first "; " is what to do. */
void finding_add_error(struct findings *findings, enum finding_state state, const char *check, const struct error *err);

/* Prints them (quiet: only warnings and faults), or with --json all in one document. The exit status of the command. */
enum exit_status findings_print(const struct findings *findings, const struct terminal *terminal);

/* The n-th one, for tests: its state, or -1 beyond the last. `text`: "CHECK WHAT: ADVICE". */
int finding_get(const struct findings *findings, size_t index, char text[static 2 * FINDING_TEXT_MAX]);

CLEANUP_DEFINE(findings, struct findings, findings_free)
