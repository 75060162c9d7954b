/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file: its sections and keys are looked up in the table; unknown ones are faults, with a suggestion. If the TOML
 * is broken, nothing is looked up. The most common reason, a string without quotes, is recognised in the line at fault,
 * because the parser's own message ("could not determine value type") does not help.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/suggest.h"
#include "config/config_loader.h"
#include "config/config_value.h"

#define SUBJECT_SIZE 160

static const char *subject_of(const char *section, const char *key, char subject[static SUBJECT_SIZE])
{
	snprintf(subject, SUBJECT_SIZE, "%.64s%s%.64s", section, *section ? "." : "", key);
	return subject;
}

/* --- sections --- */

static void add_unknown_section(struct config_loader *loader, const char *name, struct toml_location location)
{
	const char *names[CONFIG_ROWS_MAX], *suggestion;

	for (size_t i = 0; i < config_section_count; i++)
		names[i] = config_sections[i].name;
	suggestion = suggest(name, names, config_section_count);
	if (suggestion)
		config_fault(loader, config_in_file(location), NULL, "[%.64s]: unknown section (did you mean [%s]?)",
			     name, suggestion);
	else
		config_fault(loader, config_in_file(location), NULL, "[%.64s]: unknown section", name);
}

static bool is_section(void *ctx, const char *name)
{
	(void)ctx;
	return config_section_find(name);
}

static void begin_item(struct config_loader *loader, const struct config_section *section,
		       struct toml_location location)
{
	char *config = (char *)loader->config;
	char **items = (char **)(void *)(config + section->items_offset), *grown;
	size_t *count = (size_t *)(void *)(config + section->count_offset);
	const bool is_destination = section->items_offset == offsetof(struct config, destinations);
	struct toml_location *locations =
		section->items_offset == offsetof(struct config, inputs)     ? loader->input_locations
		: section->items_offset == offsetof(struct config, webhooks) ? loader->webhook_locations
									     : loader->interface_locations;

	if (*count == section->items_max) {
		config_fault(loader, config_in_file(location), section->name, "more than %zu %ss", section->items_max,
			     section->name);
		loader->skipping = true;
		return;
	}
	grown = reallocarray(*items, *count + 1, section->item_bytes);
	if (!grown) {
		loader->out_of_memory = loader->skipping = true;
		return;
	}
	*items = grown;
	loader->item = grown + *count * section->item_bytes;
	memset(loader->item, 0, section->item_bytes);
	if (is_destination) {
		loader->places[(*count)++].location = location;
		config_focus(loader, *count - 1);
	} else {
		locations[(*count)++] = location;
	}
	config_set_defaults(loader, section->name, loader->item);
}

static void on_section(void *ctx, const char *name, bool repeated, struct toml_location location)
{
	struct config_loader *loader = ctx;
	const struct config_section *section = config_section_find(name);

	config_unfocus(loader);
	loader->section = section;
	loader->skipping = !section;
	if (!section) {
		add_unknown_section(loader, name, location);
	} else if (section->repeated != repeated) {
		config_fault(loader, config_in_file(location), NULL,
			     repeated ? "[[%s]]: may occur only once; write [%s]" : "[%s]: write [[%s]]", name, name);
		loader->skipping = true;
	} else if (repeated) {
		begin_item(loader, section, location);
	}
}

/* --- keys --- */

/* The sections other than this one that have the key, as "[a], [b]", or "". */
static void sections_with_key(const char *section, const char *key, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < config_row_count && used < size; i++) {
		const struct config_row *row = &config_rows[i];

		if (!row->section || strcmp(row->key, key) != 0 || !strcmp(row->section, section))
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s[%s]", used == 0 ? "" : ", ", row->section);
	}
}

/* "requests" for "api"; NULL if the section has none. */
static const char *subsection_of(const char *section)
{
	const size_t size = strlen(section);

	for (size_t i = 0; i < config_section_count; i++)
		if (!strncmp(config_sections[i].name, section, size) && config_sections[i].name[size] == '.')
			return config_sections[i].name + size + 1;
	return NULL;
}

static void add_unknown_key(struct config_loader *loader, const char *key, struct toml_location location)
{
	const char *section = loader->section ? loader->section->name : "";
	const char *keys[CONFIG_ROWS_MAX + 1] = {0}, *suggestion;
	char subject[SUBJECT_SIZE], others[160];

	for (size_t i = 0; i < config_row_count; i++)
		if (config_rows[i].section && !strcmp(config_rows[i].section, section))
			keys[i] = config_rows[i].key;
	keys[config_row_count] = subsection_of(section);
	suggestion = suggest(key, keys, config_row_count + 1);
	subject_of(section, key, subject);
	sections_with_key(section, key, others, sizeof(others));
	if (others[0])
		config_fault(loader, config_in_file(location), subject, "%s (the key belongs to %s)",
			     *section ? "unknown key" : "is outside any section", others);
	else if (suggestion)
		config_fault(loader, config_in_file(location), subject, "unknown key (did you mean %s?)", suggestion);
	else
		config_fault(loader, config_in_file(location), subject,
			     *section ? "unknown key" : "unknown key, outside any section");
}

static void on_key(void *ctx, const char *key, struct toml_location location, const struct toml_value *value)
{
	struct config_loader *loader = ctx;
	const struct config_section *section = loader->section;
	const struct config_row *row;
	char subject[SUBJECT_SIZE];
	void *base = loader->config;

	if (loader->skipping)
		return;
	if (!section && config_section_find(key)) {
		config_fault(loader, config_in_file(location), key,
			     config_section_find(key)->repeated ? "is a section; write [[%s]]"
								: "is a section; write [%s]",
			     key);
		return;
	}
	if (section && config_section_find(subject_of(section->name, key, subject))) {
		config_fault(loader, config_in_file(location), subject, "is a section; write [%s]", subject);
		return;
	}
	if (loader->place) {
		config_read_destination_key(loader, key, location, value);
		return;
	}
	row = section ? config_row_find(section->name, key) : NULL;
	if (!row) {
		add_unknown_key(loader, key, location);
		return;
	}
	if (section->repeated)
		base = loader->item;
	config_set(loader, row, value, config_in_file(value->location), subject_of(section->name, key, subject),
		   config_row_base(row, base));
}

/* --- a string without quotes --- */

struct span {
	const char *text;
	size_t size;
};

static struct span trimmed(struct span span)
{
	while (span.size > 0 && isspace((unsigned char)span.text[0])) {
		span.text++;
		span.size--;
	}
	while (span.size > 0 && isspace((unsigned char)span.text[span.size - 1]))
		span.size--;
	return span;
}

/* The span up to `end` (exclusive), or all of it. */
static struct span before(struct span span, char end)
{
	const char *found = memchr(span.text, end, span.size);

	if (found)
		span.size = (size_t)(found - span.text);
	return span;
}

static bool copy_span(struct span span, char *out, size_t size)
{
	if (span.size == 0 || span.size >= size || memchr(span.text, '\0', span.size))
		return false;
	memcpy(out, span.text, span.size);
	out[span.size] = '\0';
	return true;
}

static struct span next_line(struct span *rest)
{
	struct span line = before(*rest, '\n');
	size_t step = line.size < rest->size ? line.size + 1 : line.size;

	rest->text += step;
	rest->size -= step;
	return line;
}

/* "name" of a line [name] or [[name]]. */
static bool read_header(struct span line, char *name, size_t size)
{
	line = trimmed(line);
	if (line.size == 0 || line.text[0] != '[')
		return false;
	while (line.size > 0 && line.text[0] == '[') {
		line.text++;
		line.size--;
	}
	return copy_span(trimmed(before(line, ']')), name, size);
}

/* A line `key = value`, and the section it is in. */
struct assignment {
	char section[64], key[64], value[256];
};

/* Reads line `number` of the text; drops a comment. False if it is not of that form. */
static bool read_assignment(struct span text, unsigned number, struct assignment *assignment)
{
	struct span line = {0}, key;

	assignment->section[0] = '\0';
	for (unsigned i = 1; i <= number; i++) {
		line = next_line(&text);
		if (i < number)
			(void)read_header(line, assignment->section, sizeof(assignment->section));
	}
	key = before(line, '=');
	if (key.size == line.size || !copy_span(trimmed(key), assignment->key, sizeof(assignment->key)))
		return false;
	line.text += key.size + 1;
	line.size -= key.size + 1;
	return copy_span(trimmed(before(line, '#')), assignment->value, sizeof(assignment->value));
}

/*
 * Explains in `text` what is wrong with an assignment that is not TOML and has no quotes in its value; false if there
 * is no helpful explanation. Quotes the value only for a known key that is not a secret.
 */
static bool explain(const struct assignment *line, char *text, size_t size)
{
	const struct config_row *row = config_row_find(line->section, line->key);
	char quote[CONFIG_QUOTE_SIZE];

	if (strpbrk(line->value, "\"'{}"))
		return false;
	if (line->value[0] == '[')
		snprintf(text, size, "every string in an array needs quotes, like [\"a\", \"b\"]");
	else if (!row || row->type == CONFIG_SECRET || row->confidential)
		snprintf(text, size, "the value needs quotes: write %s = \"…\"", line->key);
	else if (row->type == CONFIG_BOOL || row->type == CONFIG_COUNT)
		snprintf(text, size, "must be %s, got %s", config_value_expected(row),
			 config_quote(line->value, strlen(line->value), quote));
	else if (row->type == CONFIG_STRINGS)
		snprintf(text, size, "must be an array: write %s = [%s]", line->key,
			 config_quote(line->value, strlen(line->value), quote));
	else
		snprintf(text, size, "the value needs quotes: write %s = %s", line->key,
			 config_quote(line->value, strlen(line->value), quote));
	return true;
}

static void add_syntax_fault(struct config_loader *loader, struct span text, const struct toml_fault *fault)
{
	struct assignment line;
	char subject[SUBJECT_SIZE], explanation[CONFIG_QUOTE_SIZE + 128];

	if (fault->location.line > 0 && read_assignment(text, fault->location.line, &line) &&
	    explain(&line, explanation, sizeof(explanation)))
		config_fault(loader, config_in_file(fault->location), subject_of(line.section, line.key, subject), "%s",
			     explanation);
	else
		config_fault(loader, config_in_file(fault->location), NULL, "%s", fault->text);
}

/* --- reading --- */

void config_read_text(struct config_loader *loader, const char *text, size_t size)
{
	struct toml_visitor visitor = {
		.section = on_section, .is_section = is_section, .key = on_key, .first_key = "type", .ctx = loader};
	struct toml_fault fault = {0};
	int r = toml_read(text, size, &visitor, &fault);

	config_unfocus(loader);
	loader->unreadable = r < 0;
	if (r == -EFBIG)
		config_fault(loader, config_in_file(fault.location), NULL, "is larger than %d bytes", TOML_SIZE_MAX);
	else if (r == -EINVAL)
		add_syntax_fault(loader, (struct span){text, size}, &fault);
	else if (r < 0)
		loader->out_of_memory = true;
}

/* Reads a little more than a document may have, so that excess is noticed. 0 or -errno. */
static int read_whole(int fd, struct buffer *content)
{
	char chunk[16384];

	while (content->size <= TOML_SIZE_MAX) {
		ssize_t got = read(fd, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0 ? 0 : -errno;
		int r = buffer_append(content, chunk, (size_t)got);
		if (r < 0)
			return r;
	}
	return 0;
}

void config_read_file(struct config_loader *loader)
{
	struct buffer content = BUFFER_INIT(TOML_SIZE_MAX + 65536);
	cleanup(cleanup_close) int fd = open(loader->file, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : read_whole(fd, &content);

	loader->unreadable = r < 0;
	if (r == 0)
		config_read_text(loader, buffer_text(&content), content.size);
	else
		config_fault(loader, config_in_file((struct toml_location){0}), NULL, "cannot be read: %s",
			     strerror(-r));
	if (content.data)
		explicit_bzero(content.data, content.size); /* may contain secrets */
	buffer_deinit(&content);
}
