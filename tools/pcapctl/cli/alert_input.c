/* SPDX-License-Identifier: BSD-2-Clause */
/* Values are quoted, so that each stays one value whatever it holds. */
#include "pcapctl/cli/alert_input.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/printable.h"
#include "base/utf8.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/input_file.h"

#define BLANKS " \t\r\n"
#define SHOWN_SIZE 64
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

int alert_input_format(const struct command_line *line, enum alert_format *result, struct error *err)
{
	const char *name = command_line_value(line, OPTION_FORMAT);
	const enum alert_format format = name ? alert_format_find(name) : ALERT_FORMAT_JSON;
	cleanup(buffer_deinit) struct buffer names = BUFFER_INIT(1024);

	if (format < ALERT_FORMATS) {
		*result = format;
		return 0;
	}
	for (enum alert_format known = 0; known < ALERT_FORMATS; known++)
		if (buffer_printf(&names, " %s", alert_format_name(known)) < 0)
			break;
	return error_set(err, -EINVAL, "--format: must be one of%s", buffer_text(&names));
}

/* --- pairs --- */

static int add_value(struct buffer *message, const char *value)
{
	size_t size = strlen(value);
	int r = buffer_append_string(message, "\"");

	while (r == 0 && size) {
		uint32_t code;
		const size_t length = utf8_decode(value, size, &code);

		if (*value == '"' || *value == '\\')
			r = buffer_append_string(message, "\\");
		if (r == 0)
			r = length ? buffer_append(message, value, length) : buffer_append_string(message, REPLACEMENT);
		value += length ? length : 1;
		size -= length ? length : 1;
	}
	return r < 0 ? r : buffer_append_string(message, "\"\n");
}

/* `pair`: "key=value", whose key has `key_size` bytes. */
static int add_pair(struct buffer *message, const char *pair, size_t key_size, struct error *err)
{
	int r = buffer_append(message, pair, key_size + 1);

	if (r == 0)
		r = add_value(message, pair + key_size + 1);
	return r == -EMSGSIZE ? error_set(err, r, "the alert is larger than %zu bytes", message->cap_bytes)
	       : r < 0	      ? error_set(err, r, "out of memory")
			      : 0;
}

static int add_arguments(const struct command_line *line, struct buffer *message, struct error *err)
{
	char shown[SHOWN_SIZE];
	int r = 0;

	for (size_t i = 0; r == 0 && i < line->word_count; i++) {
		const char *pair = line->words[i];
		const size_t key_size = strcspn(pair, "=" BLANKS);

		if (!key_size || pair[key_size] != '=')
			return error_set(err, -EINVAL, "\"%s\" is no key=value", printable(shown, sizeof(shown), pair));
		r = add_pair(message, pair, key_size, err);
	}
	return r;
}

static int add_environment(const char *const *environment, const char *prefix, struct buffer *message,
			   struct error *err)
{
	const size_t before = message->size, prefix_size = strlen(prefix);
	int r = 0;

	for (; r == 0 && *environment; environment++) {
		const char *pair = *environment + prefix_size;
		const size_t key_size = strncmp(*environment, prefix, prefix_size) == 0 ? strcspn(pair, "=" BLANKS) : 0;

		if (key_size && pair[key_size] == '=' && pair[key_size + 1])
			r = add_pair(message, pair, key_size, err);
	}
	if (r == 0 && message->size == before)
		return error_set(err, -ENOENT, "--environment: no variable begins with %s", prefix);
	return r;
}

/* --- a message --- */

/* Wazuh leaves the standard input of an active response open: a line that is JSON is all there is. */
static bool is_whole(const struct buffer *message)
{
	if (!message->size || message->data[message->size - 1] != '\n')
		return false;
	json_t *json = json_loadb(message->data, message->size, JSON_ALLOW_NUL, NULL);

	json_decref(json);
	return json;
}

int alert_input_read(const struct command_line *line, enum alert_format format, const char *const *environment,
		     struct buffer *message, struct error *err)
{
	const char *prefix = command_line_value(line, OPTION_ENVIRONMENT);
	const char *first = line->word_count ? line->words[0] : "-";
	const bool has_pairs = prefix || line->word_count > 1 || (format == ALERT_FORMAT_KV && strchr(first, '='));

	if (!has_pairs)
		return input_file_read_until(first, format == ALERT_FORMAT_WAZUH ? is_whole : NULL, message, err);
	if (format != ALERT_FORMAT_KV)
		return error_set(err, -EINVAL, "%s",
				 prefix ? "--environment: needs --format kv"
					: "give one FILE; key=value needs --format kv");
	const int r = add_arguments(line, message, err);
	return r < 0 || !prefix ? r : add_environment(environment, prefix, message, err);
}
