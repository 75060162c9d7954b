/* SPDX-License-Identifier: BSD-2-Clause */
/* Each key is a row of one table: its reader, and the request's field that it becomes. */
#include "alert/alert_rules.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alert/alert_value.h"
#include "base/clock.h"
#include "base/printable.h"
#include "base/quantity.h"
#include "base/suggest.h"
#include "bpf/filter_syntax.h"
#include "config/toml_reader.h"

#define SECTION_RULE "rule"
#define SECTION_MATCH "rule.match"
#define SECTION_STOP "rule.stop_on"
#define LIMIT_MAX 1000000

struct reader {
	struct alert_rules *rules;
	const char *file;
	struct buffer *faults;
	size_t fault_count, first;	     /* the document's first rule */
	struct alert_rule *rule;	     /* the one being read; NULL: none, or its section is wrong */
	struct toml_location location;	     /* of its section */
	struct alert_conditions *conditions; /* in a table of conditions */
	bool out_of_memory;
};

static void fault(struct reader *reader, struct toml_location location, const char *key, const char *fmt, ...)
	printf_like(4, 5);

static void fault(struct reader *reader, struct toml_location location, const char *key, const char *fmt, ...)
{
	char text[sizeof(((struct error *)0)->text)];
	const struct alert_rule *rule = reader->rule;
	va_list args;

	if (reader->fault_count++ >= ALERT_FAULTS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (buffer_printf(reader->faults, "%s:%u:%u: %s%s%s%s%s\n", reader->file, location.line, location.column,
			  rule && rule->name ? "rule " : "", rule && rule->name ? rule->name : "",
			  rule && rule->name ? ": " : "", key, text) == -ENOMEM)
		reader->out_of_memory = true;
}

/* --- keys --- */

struct row;
typedef void read_fn(struct reader *reader, const struct row *row, const struct toml_value *value);

struct row {
	const char *key;
	read_fn *read;
	const char *field;	/* of the request; NULL: the key */
	enum alert_place place; /* of a template */
};

static read_fn read_name, read_input, read_node, read_interfaces, read_strings, read_template, read_number, read_flag,
	read_option, read_limit, read_duration, read_stop, read_constant;

static const struct row rows[] = {
	{"name", read_name, NULL, ALERT_IN_TEXT},
	{"input", read_input, NULL, ALERT_IN_TEXT},
	{"node", read_node, NULL, ALERT_IN_NODE},
	{"interface", read_interfaces, NULL, ALERT_IN_INTERFACE},
	{"alias", read_strings, NULL, ALERT_IN_TEXT},
	{"bpf", read_template, NULL, ALERT_IN_FILTER},
	{"inner", read_template, NULL, ALERT_IN_FILTER},
	{"from", read_template, NULL, ALERT_IN_TIME},
	{"to", read_template, NULL, ALERT_IN_TIME},
	{"before", read_number, NULL, ALERT_IN_NUMBER},
	{"duration", read_number, NULL, ALERT_IN_NUMBER},
	{"timeout", read_number, NULL, ALERT_IN_NUMBER},
	{"packets", read_number, NULL, ALERT_IN_NUMBER},
	{"bytes", read_number, NULL, ALERT_IN_NUMBER},
	{"snap", read_number, NULL, ALERT_IN_NUMBER},
	{"dedupe", read_template, NULL, ALERT_IN_TEXT},
	{"comment", read_template, NULL, ALERT_IN_TEXT},
	{"tags", read_template, NULL, ALERT_IN_TEXT},
	{"customer", read_template, NULL, ALERT_IN_TEXT},
	{"alertid", read_template, NULL, ALERT_IN_TEXT},
	{"format", read_constant, NULL, ALERT_IN_TEXT},
	{"merge", read_flag, NULL, ALERT_IN_TEXT},
	{"follow", read_flag, NULL, ALERT_IN_TEXT},
	{"drop_duplicates", read_flag, NULL, ALERT_IN_TEXT},
	{"stream", read_flag, NULL, ALERT_IN_TEXT},
	{"destinations", read_strings, "to_destinations", ALERT_IN_TEXT},
	{"first_of", read_strings, NULL, ALERT_IN_TEXT},
	{"cooldown", read_duration, NULL, ALERT_IN_TEXT},
	{"max_running", read_limit, NULL, ALERT_IN_TEXT},
	{"max_per_hour", read_limit, NULL, ALERT_IN_TEXT},
	{"dry_run", read_option, NULL, ALERT_IN_TEXT},
	{"publish", read_option, NULL, ALERT_IN_TEXT},
	{"stop_on", read_stop, NULL, ALERT_IN_TEXT},
};

#define ROW_COUNT (sizeof(rows) / sizeof(*rows))

static const char *field_of(const struct row *row)
{
	return row->field ? row->field : row->key;
}

/* True if the value is a string without NUL; otherwise adds a fault. */
static bool is_text(struct reader *reader, const char *key, const struct toml_value *value)
{
	if (value->type == TOML_STRING && strlen(value->string) == value->size)
		return true;
	fault(reader, value->location, key, ": must be a string");
	return false;
}

static char *copy(struct reader *reader, const char *text)
{
	char *made = strdup(text);

	reader->out_of_memory |= !made;
	return made;
}

static void set_constant(struct reader *reader, const char *field, json_t *value)
{
	if (json_object_set_new(reader->rule->constants, field, value) < 0)
		reader->out_of_memory = true;
}

/* NULL, with a fault, if it is not a valid template. */
static struct alert_template *make_template(struct reader *reader, const char *key, enum alert_place place,
					    const struct toml_value *value)
{
	struct alert_template *made = NULL;
	struct error err;

	if (!is_text(reader, key, value))
		return NULL;
	const int r = alert_template_new(value->string, place, &err, &made);
	if (r == -EINVAL)
		fault(reader, value->location, key, ": %s", err.text);
	reader->out_of_memory |= r == -ENOMEM;
	return made;
}

static bool is_name_taken(const struct reader *reader, const char *name)
{
	for (size_t i = 0; i < reader->rules->count; i++) {
		const struct alert_rule *rule = reader->rules->items[i];

		if (rule->name && strcmp(rule->name, name) == 0)
			return true;
	}
	return false;
}

static void read_name(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	if (!is_text(reader, row->key, value))
		return;
	if (!value->size || value->size > ALERT_NAME_MAX || strspn(value->string, PLAIN_CHARACTERS) != value->size)
		fault(reader, value->location, row->key, ": must be 1 to %d of the characters A-Z a-z 0-9 . _ -",
		      ALERT_NAME_MAX);
	else if (is_name_taken(reader, value->string))
		fault(reader, value->location, row->key, ": another rule is called %s", value->string);
	else
		reader->rule->name = copy(reader, value->string);
}

static void read_input(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	if (is_text(reader, row->key, value))
		reader->rule->input = copy(reader, value->string);
}

static void read_node(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	reader->rule->node = make_template(reader, row->key, row->place, value);
}

static bool is_list(struct reader *reader, const char *key, const struct toml_value *value)
{
	if (value->type != TOML_ARRAY || !value->size || value->size > ALERT_LIST_MAX) {
		fault(reader, value->location, key, ": must be an array of 1 to %d strings", ALERT_LIST_MAX);
		return false;
	}
	return true;
}

static void read_interfaces(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	struct alert_rule *rule = reader->rule;

	if (!is_list(reader, row->key, value))
		return;
	for (size_t i = 0; i < value->size; i++) {
		struct alert_template *made = make_template(reader, row->key, row->place, &value->items[i]);

		if (made)
			rule->interfaces[rule->interface_count++] = made;
	}
}

static void read_strings(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	json_t *list = json_array();

	if (is_list(reader, row->key, value))
		for (size_t i = 0; i < value->size; i++)
			if (is_text(reader, row->key, &value->items[i]) &&
			    json_array_append_new(list, json_string(value->items[i].string)) < 0)
				reader->out_of_memory = true;
	set_constant(reader, field_of(row), list);
}

static void check_sample(struct reader *reader, const struct row *row, const struct toml_value *value,
			 const struct alert_template *template, bool with_optional)
{
	struct buffer sample = BUFFER_INIT(2 * ALERT_FILTER_MAX);
	struct error err;

	if (alert_template_sample(template, with_optional, &sample) < 0)
		reader->out_of_memory = true;
	else if (filter_check_syntax(buffer_text(&sample), &err) == -EINVAL)
		fault(reader, value->location, row->key, ": filled in %s optional parts: %s",
		      with_optional ? "with" : "without", err.text);
	buffer_deinit(&sample);
}

static void read_template(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	struct alert_rule *rule = reader->rule;
	struct alert_template *made = make_template(reader, row->key, row->place, value);

	if (!made)
		return;
	rule->fields[rule->field_count++] =
		(struct alert_field){.name = field_of(row), .place = row->place, .template = made};
	if (row->place == ALERT_IN_FILTER) {
		check_sample(reader, row, value, made, true);
		check_sample(reader, row, value, made, false);
	}
}

static void read_number(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	if (value->type == TOML_INTEGER && value->integer >= 0)
		set_constant(reader, field_of(row), json_integer(value->integer));
	else if (value->type == TOML_FLOAT && value->real >= 0 && isfinite(value->real))
		set_constant(reader, field_of(row), json_real(value->real));
	else if (value->type == TOML_STRING && strchr(value->string, '{'))
		read_template(reader, row, value);
	else
		fault(reader, value->location, row->key,
		      ": must be a number that is not negative, in seconds, packets or bytes, or \"{path}\"");
}

static bool is_flag(struct reader *reader, const char *key, const struct toml_value *value)
{
	if (value->type == TOML_BOOLEAN)
		return true;
	fault(reader, value->location, key, ": must be true or false");
	return false;
}

static void read_flag(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	if (is_flag(reader, row->key, value))
		set_constant(reader, field_of(row), json_boolean(value->boolean));
}

static void read_option(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	bool *option = strcmp(row->key, "publish") == 0 ? &reader->rule->publish : &reader->rule->dry_run;

	*option = is_flag(reader, row->key, value) && value->boolean;
}

static void read_limit(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	struct alert_rule *rule = reader->rule;
	int64_t *limit = strcmp(row->key, "max_running") == 0 ? &rule->max_running : &rule->max_per_hour;

	if (value->type == TOML_INTEGER && value->integer > 0 && value->integer <= LIMIT_MAX)
		*limit = value->integer;
	else
		fault(reader, value->location, row->key, ": must be an integer from 1 to %d", LIMIT_MAX);
}

static void read_duration(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	char text[32] = "";

	if (value->type == TOML_INTEGER)
		snprintf(text, sizeof(text), "%lld", (long long)value->integer);
	else if (value->type == TOML_STRING && value->size < sizeof(text))
		memcpy(text, value->string, value->size + 1);
	if (quantity_parse_duration(text, &reader->rule->cooldown_ns) < 0)
		fault(reader, value->location, row->key, ": must be a duration like \"60s\"");
}

static void read_constant(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	if (is_text(reader, row->key, value))
		set_constant(reader, field_of(row), json_string(value->string));
}

/* --- conditions --- */

static void add_test(struct reader *reader, struct alert_condition *condition, const char *path,
		     const struct toml_value *value)
{
	char text[64];
	const char *test = text;
	struct error err;

	switch (value->type) {
	case TOML_STRING:
		if (!is_text(reader, path, value))
			return;
		test = value->string;
		break;
	case TOML_INTEGER:
		snprintf(text, sizeof(text), "%lld", (long long)value->integer);
		break;
	case TOML_FLOAT:
		snprintf(text, sizeof(text), "%.17g", value->real);
		break;
	case TOML_BOOLEAN:
		snprintf(text, sizeof(text), "%s", value->boolean ? "true" : "false");
		break;
	case TOML_DATE:
	case TOML_ARRAY:
	case TOML_TABLE:
		fault(reader, value->location, path,
		      ": must be a string, number or boolean, or an array of them; a path with dots needs quotes");
		return;
	}
	const int r = alert_condition_add(condition, test, &err);
	if (r == -EINVAL)
		fault(reader, value->location, path, ": %s", err.text);
	reader->out_of_memory |= r == -ENOMEM;
}

static void add_condition(struct reader *reader, struct alert_conditions *conditions, const char *path,
			  const struct toml_value *value)
{
	struct alert_condition *condition = NULL;
	struct error err;

	if (conditions->count == ALERT_CONDITIONS_MAX) {
		fault(reader, value->location, path, ": more than %d conditions", ALERT_CONDITIONS_MAX);
		return;
	}
	const int r = alert_condition_new(path, &err, &condition);
	if (r == -EINVAL)
		fault(reader, value->location, path, ": %s", err.text);
	reader->out_of_memory |= r == -ENOMEM;
	if (r < 0)
		return;
	conditions->items[conditions->count++] = condition;
	if (value->type != TOML_ARRAY)
		add_test(reader, condition, path, value);
	else if (!value->size)
		fault(reader, value->location, path, ": must not be an empty array");
	else
		for (size_t i = 0; i < value->size; i++)
			add_test(reader, condition, path, &value->items[i]);
}

/* stop_on = "resolved" */
static void read_stop(struct reader *reader, const struct row *row, const struct toml_value *value)
{
	(void)row;
	add_condition(reader, &reader->rule->stop_on, "status", value);
}

/* --- the document --- */

/* What only the whole rule shows. */
static void end_rule(struct reader *reader)
{
	const struct alert_rule *rule = reader->rule;
	const bool has_alias = rule && json_object_get(rule->constants, "alias");
	bool has_dedupe = rule && json_object_get(rule->constants, "dedupe");

	if (!rule)
		return;
	for (size_t i = 0; i < rule->field_count; i++)
		has_dedupe |= strcmp(rule->fields[i].name, "dedupe") == 0;
	if (!rule->name)
		fault(reader, reader->location, "name", ": is missing");
	if (!rule->match.count)
		fault(reader, reader->location, "match", ": is missing; it says which alerts the rule takes");
	if (rule->interface_count && has_alias)
		fault(reader, reader->location, "interface", " and alias: give one of the two");
	if (rule->publish && !rule->node)
		fault(reader, reader->location, "publish", ": needs a node");
	if (rule->stop_on.count && !has_dedupe)
		fault(reader, reader->location, "stop_on", ": needs dedupe, which says what it stops");
	reader->rule = NULL;
}

static void begin_rule(struct reader *reader, struct toml_location location)
{
	struct alert_rules *rules = reader->rules;
	struct alert_rule **grown;

	if (rules->count == ALERT_RULES_MAX) {
		fault(reader, location, "[[rule]]", ": more than %d rules", ALERT_RULES_MAX);
		return;
	}
	grown = reallocarray(rules->items, rules->count + 1, sizeof(*grown));
	struct alert_rule *rule = calloc(1, sizeof(*rule));
	if (grown)
		rules->items = grown;
	if (rule)
		rule->constants = json_object();
	if (!grown || !rule || !rule->constants) {
		alert_rule_free(rule);
		reader->out_of_memory = true;
		return;
	}
	rules->items[rules->count++] = rule;
	reader->rule = rule;
	reader->location = location;
}

static bool is_section(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, SECTION_MATCH) == 0 || strcmp(name, SECTION_STOP) == 0;
}

static void on_section(void *ctx, const char *name, bool repeated, struct toml_location location)
{
	struct reader *reader = ctx;

	reader->conditions = NULL;
	if (reader->rule && strcmp(name, SECTION_MATCH) == 0) {
		reader->conditions = &reader->rule->match;
	} else if (reader->rule && strcmp(name, SECTION_STOP) == 0) {
		reader->conditions = &reader->rule->stop_on;
	} else {
		end_rule(reader);
		if (strcmp(name, SECTION_RULE) != 0)
			fault(reader, location, name, ": unknown section; a rule is a [[rule]]");
		else if (!repeated)
			fault(reader, location, name, ": write [[rule]]");
		else
			begin_rule(reader, location);
	}
}

static void add_unknown_key(struct reader *reader, const char *key, struct toml_location location)
{
	const char *known[ROW_COUNT + 1], *suggestion;

	for (size_t i = 0; i < ROW_COUNT; i++)
		known[i] = rows[i].key;
	known[ROW_COUNT] = "match";
	suggestion = suggest(key, known, ROW_COUNT + 1);
	if (suggestion)
		fault(reader, location, key, ": unknown key (did you mean %s?)", suggestion);
	else
		fault(reader, location, key, ": unknown key");
}

static void on_key(void *ctx, const char *key, struct toml_location location, const struct toml_value *value)
{
	struct reader *reader = ctx;

	if (!reader->rule) {
		if (!reader->fault_count)
			fault(reader, location, key, ": is outside any [[rule]]");
		return;
	}
	if (reader->conditions) {
		add_condition(reader, reader->conditions, key, value);
		return;
	}
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (strcmp(rows[i].key, key) == 0) {
			rows[i].read(reader, &rows[i], value);
			return;
		}
	}
	if (strcmp(key, "match") == 0)
		fault(reader, value->location, key, ": must be a table, such as { severity = \"<=2\" }");
	else
		add_unknown_key(reader, key, location);
}

static void drop_rules(struct alert_rules *rules, size_t first)
{
	while (rules->count > first)
		alert_rule_free(rules->items[--rules->count]);
}

void alert_rules_clear(struct alert_rules *rules)
{
	drop_rules(rules, 0);
	free(rules->items);
	*rules = (struct alert_rules){0};
}

int alert_rules_read(struct alert_rules *rules, const char *file, const char *text, size_t size, struct buffer *faults)
{
	struct reader reader = {.rules = rules, .file = file, .faults = faults, .first = rules->count};
	const struct toml_visitor visitor = {.section = on_section,
					     .is_section = is_section,
					     .key = on_key,
					     .ctx = &reader};
	struct toml_fault broken = {0};
	const int r = toml_read(text, size, &visitor, &broken);

	end_rule(&reader);
	if (r == -EFBIG)
		fault(&reader, broken.location, "", "is larger than %d bytes", TOML_SIZE_MAX);
	else if (r == -EINVAL)
		fault(&reader, broken.location, "", "%s", broken.text);
	if (reader.fault_count || reader.out_of_memory || r < 0)
		drop_rules(rules, reader.first);
	if (reader.fault_count > ALERT_FAULTS_MAX &&
	    buffer_printf(faults, "and %zu more faults\n", reader.fault_count - ALERT_FAULTS_MAX) == -ENOMEM)
		reader.out_of_memory = true;
	if (reader.out_of_memory || r == -ENOMEM)
		return -ENOMEM;
	return reader.fault_count ? -EINVAL : 0;
}
