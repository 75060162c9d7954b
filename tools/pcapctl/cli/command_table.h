/* SPDX-License-Identifier: BSD-2-Clause */
/* The one table of pcapctl's commands and options: the parser, help, completion and manual are made from it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pcapctl/cli/commands.h"

#define COMMAND_COUNT 17

enum option_id {
	OPTION_NONE, /* ends a list */

	/* The global options. */
	OPTION_SOCKET,
	OPTION_API,
	OPTION_TOKEN_FILE,
	OPTION_TOKEN_IN_CLEAR,
	OPTION_CA_FILE,
	OPTION_REDIS,
	OPTION_REDIS_CLUSTER,
	OPTION_REDIS_AUTH_FILE,
	OPTION_CONFIG,
	OPTION_JSON,
	OPTION_QUIET,
	OPTION_HELP,
	OPTION_VERSION,

	OPTION_NODE,
	OPTION_NODERE,
	OPTION_INTERFACE,
	OPTION_ALIAS,
	OPTION_INNER,
	OPTION_FOLLOW,
	OPTION_SNAP,
	OPTION_DIRECTION,
	OPTION_NUMERIC,
	OPTION_VERBOSE,
	OPTION_PACKETS,
	OPTION_BYTES,
	OPTION_TIMEOUT,
	OPTION_DURATION,
	OPTION_BEFORE,
	OPTION_LAST,
	OPTION_FROM,
	OPTION_TO,
	OPTION_AROUND,
	OPTION_TAGS,
	OPTION_CUSTOMER,
	OPTION_ALERTID,
	OPTION_COMMENT,
	OPTION_ID,
	OPTION_FORMAT,
	OPTION_DEDUPE,
	OPTION_FILES,
	OPTION_EVERY,
	OPTION_STREAMED,
	OPTION_DESTINATION,
	OPTION_FIRST_OF,
	OPTION_LOGREQUEST,
	OPTION_PACKETDEBUG,

	OPTION_WRITE,
	OPTION_MERGE,
	OPTION_DROP_DUPLICATES,
	OPTION_NO_FILE,
	OPTION_WAIT,
	OPTION_ANSWER_TIMEOUT,
	OPTION_STREAM,
	OPTION_KEY_FILE,
	OPTION_EXPECT,
	OPTION_FORGET,
	OPTION_REQUEST,
	OPTION_DESTINATIONS,
	OPTION_ENVIRONMENT,
	OPTION_COUNT
};

/* What a shell offers for a value. */
enum completion {
	COMPLETION_NONE,
	COMPLETION_FILE,
	COMPLETION_CHOICE,
	COMPLETION_COMMAND,
	/* Names of a daemon or a fleet: completion_names has what `pcapctl names` calls them. */
	COMPLETION_INTERFACE,
	COMPLETION_ALIAS,
	COMPLETION_DESTINATION,
	COMPLETION_NODE,
	COMPLETION_CAPTURE,
	COMPLETION_COUNT
};

struct option_row {
	const char *name;	    /* without the dashes */
	char letter;		    /* '\0': none */
	const char *argument;	    /* name of the value in help; NULL: a switch */
	const char *help;	    /* one line, no full stop */
	const char *const *choices; /* NULL-terminated, for COMPLETION_CHOICE */
	enum completion completion;
	bool repeatable;
	bool global; /* every command accepts it */
};

/* An option's help for one command, where it differs from the option's own row. */
struct option_override {
	enum option_id option; /* OPTION_NONE ends a list */
	const char *help;
	const char *argument;	    /* NULL: the option's own */
	const char *const *choices; /* NULL: the option's own */
};

struct command_row {
	const char *name;
	const char *summary;   /* one line, no full stop */
	const char *arguments; /* as in a usage line; "": none */
	const char *details;   /* sentences for help and manual, each on a line of its own */

	/* `standalone` alone, or at least one of the others; check has both: `local` with --destinations. */
	command_function local;	     /* asks one daemon over its control API; NULL: not supported */
	command_function fleet;	     /* asks a fleet over Redis; NULL: not supported */
	command_function standalone; /* asks no daemon */

	size_t arguments_min;	       /* words */
	size_t arguments_max;	       /* SIZE_MAX: any number */
	bool filter;		       /* the words are a filter; a bare "-" before or after it means standard output */
	enum completion completion;    /* of the words */
	const char *const *choices;    /* as in option_row */
	const enum option_id *options; /* ends with OPTION_NONE; without the global ones */
	const struct option_override *option_overrides; /* NULL: none */
};

extern const char *const completion_names[COMPLETION_COUNT]; /* NULL: no names */
extern const struct option_row option_rows[OPTION_COUNT];
extern const struct command_row command_rows[COMMAND_COUNT];

const struct command_row *command_find(const char *name); /* NULL: none */

/* Whether the command (NULL: none yet) accepts the option. */
bool command_accepts(const struct command_row *command, enum option_id option);

/* The option's row with the command's override (`command` NULL: without). */
struct option_row option_row_of(const struct command_row *command, enum option_id option);

/* The option of that name or letter, of any command. OPTION_NONE: none. */
enum option_id option_find(const char *name);
enum option_id option_find_letter(char letter);
