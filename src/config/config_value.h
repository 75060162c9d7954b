/* SPDX-License-Identifier: BSD-2-Clause */
/* Values: from TOML or from a word on the command line, checked against a row, into the field the row names. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "config/config_table.h"
#include "config/toml_reader.h"

#define CONFIG_STRING_MAX 4096 /* bytes of one text */
#define CONFIG_QUOTE_SIZE 80

/* A word of the command line as what it would be in the file: no type is wrong yet. `word` must outlive the value. */
struct toml_value config_value_from_word(const struct config_row *row, const char *word);

/*
 * Checks the value and keeps it in the row's field of `base`, the struct that row->offset counts from (NULL, or a row
 * that goes nowhere: checks only). 0, -EINVAL with what is wrong in `err` (a secret is never quoted), or -ENOMEM.
 */
warn_unused int config_value_apply(const struct config_row *row, const struct toml_value *value, void *base,
				   struct error *err);

/* Whether the value switches something on: not false, zero or empty. */
bool config_value_is_on(const struct toml_value *value);

/* "a whole number", "true or false": what the row wants, for people. */
const char *config_value_expected(const struct config_row *row);

/* Replaces the text in a char * field; secrets are overwritten before they are freed. 0 or -ENOMEM. */
warn_unused int config_value_set_text(const struct config_row *row, void *base, const char *text);

/* What a row kept as char * holds, "" if nothing. */
const char *config_value_text(const struct config_row *row, void *base);

/* Frees what the row's field of `base` holds. */
void config_value_clear(const struct config_row *row, void *base);

/* The text in quotes, control characters replaced, cut if long. Returns `out`. */
const char *config_quote(const char *text, size_t size, char out[static CONFIG_QUOTE_SIZE]);
