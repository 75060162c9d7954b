/* SPDX-License-Identifier: BSD-2-Clause */
/* Values from TOML or the command line, checked against a row and stored in the row's field. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "config/config_table.h"
#include "config/toml_reader.h"

#define CONFIG_STRING_MAX 4096 /* bytes of a string */
#define CONFIG_QUOTE_SIZE 80

/* A word of the command line as a TOML value of the row's type if it can be one, else a string. It points to `word`. */
struct toml_value config_value_from_word(const struct config_row *row, const char *word);

/*
 * Checks the value and stores it in the row's field of `base`, the struct that row->offset counts from. With `base`
 * NULL or CONFIG_NO_FIELD it only checks. 0, -EINVAL with `err` (which never quotes a secret), or -ENOMEM.
 */
warn_unused int config_value_apply(const struct config_row *row, const struct toml_value *value, void *base,
				   struct error *err);

/* Whether the value switches something on: not false, zero or empty. */
bool config_value_is_on(const struct toml_value *value);

/* What the row accepts, for people: "a whole number", "true or false". */
const char *config_value_expected(const struct config_row *row);

/* Replaces the string in a char * field; overwrites secrets before it frees them. 0 or -ENOMEM. */
warn_unused int config_value_set_text(const struct config_row *row, void *base, const char *text);

/* The string in a char * field, "" if none. */
const char *config_value_text(const struct config_row *row, void *base);

/* Frees the value in the row's field of `base`. */
void config_value_clear(const struct config_row *row, void *base);

/* Quotes the text, with control characters replaced and long text cut. Returns `out`. */
const char *config_quote(const char *text, size_t size, char out[static CONFIG_QUOTE_SIZE]);
