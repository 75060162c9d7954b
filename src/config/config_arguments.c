/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line: one dash or two, `-opt value` or `-opt=value`; a switch may stand alone, and then never takes the
 * next word. Secrets are overwritten in argv, which ps shows, as soon as they are copied. Faults never quote a word
 * that is not an option: it may be the secret of a misspelt one.
 */
#include <string.h>

#include "base/suggest.h"
#include "config/config_loader.h"
#include "config/config_value.h"

#define OPTION_NAME_MAX 64

static const struct config_origin command_line = {.layer = CONFIG_LAYER_COMMAND_LINE};

/* The name in "-name", "--name" or "-name=value"; false if the word is not an option. */
static bool read_name(char *word, char name[static OPTION_NAME_MAX], char **value)
{
	size_t size;

	if (word[0] != '-')
		return false;
	word += word[1] == '-' ? 2 : 1;
	size = strcspn(word, "=");
	if (size == 0 || size >= OPTION_NAME_MAX)
		return false;
	memcpy(name, word, size);
	name[size] = '\0';
	*value = word[size] == '=' ? word + size + 1 : NULL;
	return true;
}

static bool is_option(char *word)
{
	char name[OPTION_NAME_MAX], *value;

	return read_name(word, name, &value) && config_row_find_option(name);
}

static void add_unknown_option(struct config_loader *loader, const char *name)
{
	const char *options[CONFIG_ROWS_MAX], *suggestion;
	char quote[CONFIG_QUOTE_SIZE];

	for (size_t i = 0; i < config_row_count; i++)
		options[i] = config_rows[i].option;
	suggestion = suggest(name, options, config_row_count);
	config_quote(name, strlen(name), quote);
	if (suggestion)
		config_fault(loader, command_line, NULL, "unknown option %s (did you mean -%s?)", quote, suggestion);
	else
		config_fault(loader, command_line, NULL, "unknown option %s (-help lists them)", quote);
}

static void set(struct config_loader *loader, const struct config_row *row, char *word)
{
	struct toml_value value = config_value_from_word(row, word);
	char subject[OPTION_NAME_MAX + 1];

	snprintf(subject, sizeof(subject), "-%s", row->option);
	config_set(loader, row, &value, command_line, subject, config_row_base(row, loader->config));
	if (row->type == CONFIG_SECRET)
		explicit_bzero(word, strlen(word));
}

/* Returns the number of words consumed. */
static int read_option(struct config_loader *loader, char **words, int left)
{
	char name[OPTION_NAME_MAX], switched_on[] = "true", *value = NULL;
	char *next = left > 1 ? words[1] : NULL;
	const struct config_row *row;

	if (!read_name(words[0], name, &value))
		return 0;
	row = config_row_find_option(name);
	if (!row) {
		add_unknown_option(loader, name);
		return !value && next && next[0] != '-' ? 2 : 1; /* probably its value */
	}
	if (!value && row->type == CONFIG_BOOL)
		value = switched_on;
	if (value) {
		set(loader, row, value);
		return 1;
	}
	if (!next || is_option(next)) {
		char subject[OPTION_NAME_MAX + 1];

		snprintf(subject, sizeof(subject), "-%s", name);
		config_fault(loader, command_line, subject, "needs a value (%s)", row->argument);
		return 1;
	}
	set(loader, row, next);
	return 2;
}

void config_read_arguments(struct config_loader *loader, int argc, char **argv)
{
	for (int i = 1; i < argc;) {
		int used = read_option(loader, argv + i, argc - i);

		if (used == 0)
			config_fault(loader, command_line, NULL,
				     "argument %d is not an option (to set a switch, write -upload=false)", i);
		i += used > 0 ? used : 1;
	}
}
