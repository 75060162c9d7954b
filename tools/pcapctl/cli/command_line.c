/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options are a dash and a letter, or two dashes and a name; a value follows after "=", in the next word, or right
 * after the letter. The value of --redis may hold a password: as soon as it is parsed it is copied and overwritten in
 * argv, where ps shows it. An error quotes an unknown long option without its value.
 */
#include "pcapctl/cli/command_line.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/printable.h"
#include "base/suggest.h"

#define NAME_SIZE 64

struct parser {
	struct command_line *line;
	struct error *err;
	char **argv;
	int argc, next;
	bool options_ended;
};

static const char *quoted(const char *text, char quote[static NAME_SIZE])
{
	return printable(quote, NAME_SIZE, text);
}

static const char *help_hint(const struct command_line *line)
{
	static char hint[NAME_SIZE];

	snprintf(hint, sizeof(hint), "pcapctl %s%s--help", line->command ? line->command->name : "",
		 line->command ? " " : "");
	return hint;
}

static int unknown_option(struct parser *parser, const char *name)
{
	const char *known[OPTION_COUNT] = {NULL}, *suggestion;
	char quote[NAME_SIZE];

	for (size_t i = OPTION_NONE + 1; i < OPTION_COUNT; i++)
		if (command_accepts(parser->line->command, (enum option_id)i))
			known[i] = option_rows[i].name;
	suggestion = suggest(name, known, OPTION_COUNT);
	if (suggestion)
		return error_set(parser->err, -EINVAL, "unknown option --%s (did you mean --%s?)", quoted(name, quote),
				 suggestion);
	return error_set(parser->err, -EINVAL, "unknown option --%s; `%s` lists them", quoted(name, quote),
			 help_hint(parser->line));
}

static int unknown_command(struct parser *parser, const char *name)
{
	const char *known[COMMAND_COUNT], *suggestion;
	char quote[NAME_SIZE];

	for (size_t i = 0; i < COMMAND_COUNT; i++)
		known[i] = command_rows[i].name;
	suggestion = suggest(name, known, COMMAND_COUNT);
	if (suggestion)
		return error_set(parser->err, -EINVAL, "unknown command \"%s\" (did you mean \"%s\"?)",
				 quoted(name, quote), suggestion);
	return error_set(parser->err, -EINVAL, "unknown command \"%s\"; `pcapctl --help` lists them",
			 quoted(name, quote));
}

/* --- values --- */

static int store_value(struct parser *parser, enum option_id option, char *value)
{
	struct option_values *values = &parser->line->values[option];
	const struct option_row *row = &option_rows[option];
	const char **grown;

	if (values->count > 0 && row->argument && !row->repeatable)
		return error_set(parser->err, -EINVAL, "--%s is given twice", row->name);
	if (values->count == OPTION_VALUES_MAX)
		return error_set(parser->err, -EINVAL, "--%s is given more than %d times", row->name,
				 OPTION_VALUES_MAX);
	if (row->argument && !*value)
		return error_set(parser->err, -EINVAL, "--%s: the value is empty", row->name);
	grown = reallocarray(values->items, values->count + 1, sizeof(*grown));
	if (!grown)
		return error_set(parser->err, -ENOMEM, "out of memory");
	values->items = grown;
	if (option == OPTION_REDIS) {
		parser->line->redis = strdup(value);
		explicit_bzero(value, strlen(value));
		if (!parser->line->redis)
			return error_set(parser->err, -ENOMEM, "out of memory");
		value = parser->line->redis;
	}
	values->items[values->count++] = value;
	return 0;
}

/* `value`: what follows the name or letter; NULL: nothing. */
static int parse_option(struct parser *parser, enum option_id option, char *value)
{
	const struct option_row *row = &option_rows[option];
	static char set[] = "";

	if (!row->argument && value)
		return error_set(parser->err, -EINVAL, "--%s takes no value", row->name);
	if (!row->argument)
		return store_value(parser, option, set);
	if (!value) {
		if (parser->next == parser->argc)
			return error_set(parser->err, -EINVAL, "--%s needs a value (%s)", row->name, row->argument);
		value = parser->argv[parser->next++];
	}
	return store_value(parser, option, value);
}

static int refuse_foreign_option(struct parser *parser, enum option_id option)
{
	const struct command_row *command = parser->line->command;

	if (!command)
		return error_set(parser->err, -EINVAL, "--%s must follow its command, as in `pcapctl capture --%s`",
				 option_rows[option].name, option_rows[option].name);
	return error_set(parser->err, -EINVAL, "`pcapctl %s` takes no --%s; `%s` lists its options", command->name,
			 option_rows[option].name, help_hint(parser->line));
}

static int parse_long_option(struct parser *parser, char *word)
{
	char name[NAME_SIZE];
	size_t size = strcspn(word + 2, "=");
	enum option_id option;

	snprintf(name, sizeof(name), "%.*s", (int)(size < NAME_SIZE ? size : NAME_SIZE - 1), word + 2);
	option = size < NAME_SIZE ? option_find(name) : OPTION_NONE;
	if (!option)
		return unknown_option(parser, name);
	if (!command_accepts(parser->line->command, option))
		return refuse_foreign_option(parser, option);
	return parse_option(parser, option, word[2 + size] == '=' ? word + 2 + size + 1 : NULL);
}

/* Switches may be combined; the last letter may take a value. */
static int parse_short_options(struct parser *parser, char *word)
{
	char quote[NAME_SIZE];
	int r = 0;

	for (char *letter = word + 1; r == 0 && *letter; letter++) {
		enum option_id option = option_find_letter(*letter);
		char *rest = letter[1] ? letter + 1 + (letter[1] == '=') : NULL;

		if (!option)
			return error_set(parser->err, -EINVAL, "unknown option %s; `%s` lists them",
					 quoted(word, quote), help_hint(parser->line));
		if (!command_accepts(parser->line->command, option))
			return refuse_foreign_option(parser, option);
		if (option_rows[option].argument)
			return parse_option(parser, option, rest);
		r = parse_option(parser, option, NULL);
	}
	return r;
}

static int parse_word(struct parser *parser, char *word)
{
	struct command_line *line = parser->line;

	if (!line->command) {
		line->command = command_find(word);
		return line->command ? 0 : unknown_command(parser, word);
	}
	line->words[line->word_count++] = word;
	return 0;
}

static int parse_next(struct parser *parser)
{
	char *word = parser->argv[parser->next++];

	if (parser->options_ended || word[0] != '-' || !word[1])
		return parse_word(parser, word);
	if (strcmp(word, "--") == 0) {
		parser->options_ended = true;
		return 0;
	}
	return word[1] == '-' ? parse_long_option(parser, word) : parse_short_options(parser, word);
}

/* --- words --- */

/* A bare "-" before or after the filter: no filter begins or ends with a minus. */
static void extract_stdout_dash(struct command_line *line)
{
	if (line->word_count > 0 && strcmp(line->words[line->word_count - 1], "-") == 0) {
		line->to_stdout = true;
		line->word_count--;
	} else if (line->word_count > 0 && strcmp(line->words[0], "-") == 0) {
		line->to_stdout = true;
		line->word_count--;
		memmove(line->words, line->words + 1, line->word_count * sizeof(*line->words));
	}
}

static int join_filter(struct command_line *line, struct error *err)
{
	size_t size = 1;
	char *end;

	extract_stdout_dash(line);
	for (size_t i = 0; i < line->word_count; i++)
		size += strlen(line->words[i]) + 1;
	if (size > FILTER_BYTES_MAX)
		return error_set(err, -EINVAL, "the filter is longer than %d bytes", FILTER_BYTES_MAX);
	if (line->word_count == 0)
		return 0;
	line->filter = end = malloc(size);
	if (!end)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < line->word_count; i++) {
		if (i > 0)
			*end++ = ' ';
		end = mempcpy(end, line->words[i], strlen(line->words[i]));
	}
	*end = '\0';
	return 0;
}

/* The direction is a term of the filter, as in pcap-filter(7). */
static int add_direction(struct command_line *line, struct error *err)
{
	const char *way = command_line_value(line, OPTION_DIRECTION);
	const char *term = !way			     ? NULL
			   : strcmp(way, "in") == 0  ? "inbound"
			   : strcmp(way, "out") == 0 ? "outbound"
						     : NULL;
	char *filter = NULL;

	if (way && !term && strcmp(way, "inout") != 0)
		return error_set(err, -EINVAL, "--direction: must be in, out or inout");
	if (!term)
		return 0;
	if ((line->filter ? asprintf(&filter, "%s and (%s)", term, line->filter) : asprintf(&filter, "%s", term)) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	free(line->filter);
	line->filter = filter;
	return 0;
}

static int check_words(struct command_line *line, struct error *err)
{
	const struct command_row *command = line->command;

	if (!command || line->values[OPTION_HELP].count > 0)
		return 0;
	if (command->filter && join_filter(line, err) < 0)
		return -EINVAL;
	if (command->filter)
		return add_direction(line, err);
	if (line->word_count < command->arguments_min)
		return error_set(err, -EINVAL, "`pcapctl %s` needs %s; see `%s`", command->name, command->arguments,
				 help_hint(line));
	if (line->word_count > command->arguments_max)
		return error_set(err, -EINVAL, "`pcapctl %s` takes %s%s; see `%s`", command->name,
				 *command->arguments ? "only " : "no arguments", command->arguments, help_hint(line));
	return 0;
}

/* --- command line --- */

int command_line_parse(int argc, char **argv, struct command_line *line, struct error *err)
{
	struct parser parser = {.line = line, .err = err, .argv = argv, .argc = argc, .next = 1};
	int r = 0;

	*line = (struct command_line){0};
	line->words = calloc((size_t)argc, sizeof(*line->words));
	if (!line->words)
		return error_set(err, -ENOMEM, "out of memory");
	while (r == 0 && parser.next < argc)
		r = parse_next(&parser);
	return r < 0 ? r : check_words(line, err);
}

void command_line_deinit(struct command_line *line)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		free(line->values[i].items);
	if (line->redis)
		explicit_bzero(line->redis, strlen(line->redis));
	free(line->redis);
	free(line->filter);
	free(line->words);
	*line = (struct command_line){0};
}

const char *command_line_value(const struct command_line *line, enum option_id option)
{
	const struct option_values *values = &line->values[option];

	return values->count > 0 ? values->items[values->count - 1] : NULL;
}

const char *command_line_output(const struct command_line *line)
{
	const char *to = command_line_value(line, OPTION_WRITE);

	if (line->to_stdout)
		return "-";
	return to ? to : command_line_value(line, OPTION_MERGE);
}

bool command_line_wants_pcap(const struct command_line *line)
{
	static const char extension[] = ".pcap";
	const char *format = command_line_value(line, OPTION_FORMAT), *to = command_line_output(line);
	const size_t size = to ? strlen(to) : 0, extension_size = strlen(extension);

	if (format)
		return strcmp(format, "pcap") == 0;
	return size > extension_size && strcmp(to + size - extension_size, extension) == 0;
}

bool command_line_has(const struct command_line *line, enum option_id option)
{
	return line->values[option].count > 0;
}
