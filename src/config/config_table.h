/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of all options and keys. The code that reads, checks and prints settings walks it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_ROWS_MAX 300

enum config_type {
	CONFIG_BOOL,	 /* bool */
	CONFIG_COUNT,	 /* uint64_t */
	CONFIG_BYTES,	 /* uint64_t, bytes; also "64MiB" */
	CONFIG_DURATION, /* uint64_t, ns; written as seconds, with or without a fraction, or "1.5s" */
	CONFIG_STRING,	 /* char *; "" means not given */
	CONFIG_CHOICE,	 /* char *, one of `choices` */
	CONFIG_SNAP,	 /* char *, digits in min…max or one of `choices` */
	CONFIG_SWITCH,	 /* char *: true or false, or one of `choices` */
	CONFIG_SECRET,	 /* char *, never shown; the section's row "<key>_file" names a file with it */
	CONFIG_FILE,	 /* char *, a file that must be readable */
	CONFIG_STRINGS,	 /* struct config_strings, at most `max` */
};

#define CONFIG_NO_FIELD SIZE_MAX /* checked, but not stored: this build has no use for it */

struct config_row {
	const char *section; /* NULL: command line only */
	const char *key;
	const char *option;   /* NULL: file only */
	const char *argument; /* the value's placeholder in help; NULL: a switch */
	enum config_type type;
	uint64_t min, max;			   /* in the field's unit; CONFIG_STRINGS: max items */
	const char *const *choices;		   /* NULL-terminated */
	const char *fallback;			   /* the default, as on the command line */
	const char *fallback_text;		   /* shown instead, for a default that is found at start */
	const char *example;			   /* TOML for the example file, if the default is no example */
	const char *help;			   /* one line, no full stop */
	bool required;				   /* must not be the empty string */
	bool confidential;			   /* may hold a secret: faults do not repeat it */
	bool unsupported;			   /* not in this build: a fault if switched on */
	const char *of_type;			   /* of [[destination]]: only with this type; NULL: with any */
	bool section_only;			   /* of a type's section: [[destination]] does not have it */
	size_t base;				   /* of a struct in struct config, or in the repeated section's own */
	size_t offset;				   /* in that struct */
	const char *(*validate)(const char *text); /* config_rules.h; for each item of CONFIG_STRINGS */
};

extern const struct config_row config_rows[];
extern const size_t config_row_count;

struct config_section {
	const char *name, *help;
	bool repeated;			   /* [[name]]: the following say where its structs are */
	size_t items_offset, count_offset; /* in struct config: the array and its size_t */
	size_t item_bytes, items_max;
};

extern const struct config_section config_sections[];
extern const size_t config_section_count;

/* A type of [[destination]]. Its keys are those of the section of its name. */
struct config_destination_type {
	const char *name;
	size_t offset; /* of its struct in struct config_destination */
};

extern const struct config_destination_type config_destination_types[];
extern const size_t config_destination_type_count;

/* NULL if there is none. */
const struct config_destination_type *config_destination_type_find(const char *name);

/* Whether [[destination]] has the key with this type; `type` NULL: with every type. */
bool config_row_is_of_type(const struct config_row *row, const struct config_destination_type *type);

/* The key of [[destination]] with this type, or NULL. */
const struct config_row *config_row_find_of_type(const struct config_destination_type *type, const char *key);

/* NULL if there is none. */
const struct config_row *config_row_find(const char *section, const char *key);
const struct config_row *config_row_find_option(const char *option);
const struct config_section *config_section_find(const char *name);

/* The struct that row->offset counts from, in the configuration or, for a repeated section, in its own struct. */
void *config_row_base(const struct config_row *row, void *outer);

/* The row "<key>_file" of a secret, or NULL. */
const struct config_row *config_row_secret_file(const struct config_row *secret);

/* Whether values of the type are stored as char *. */
bool config_type_is_text(enum config_type type);
