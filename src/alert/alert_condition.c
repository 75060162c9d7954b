/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests are read once, when rules are loaded. */
#include "alert/alert_condition.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "alert/alert_path.h"
#include "alert/alert_why.h"
#include "request/bounded_regex.h"
#include "request/request_text.h"

#define NO_SEVERITY (-1)

enum comparison { OP_EQUAL, OP_DIFFERENT, OP_LESS, OP_AT_MOST, OP_MORE, OP_AT_LEAST, OP_LIKE, OP_UNLIKE };

#define TESTS_SHOWN 4 /* in a reason */

struct test {
	enum comparison comparison;
	char *text;    /* to compare with */
	double number; /* the text as a number; NAN: it is none */
	int severity;  /* NO_SEVERITY: it is none */
	struct bounded_regex *regex;
};

struct alert_condition {
	char *path;
	struct test *tests;
	size_t count;
};

/* Longer ones first. */
static const struct {
	const char *text;
	enum comparison comparison;
} comparisons[] = {
	{"!=", OP_DIFFERENT}, {"!~", OP_UNLIKE}, {"<=", OP_AT_MOST}, {">=", OP_AT_LEAST},
	{"=", OP_EQUAL},      {"~", OP_LIKE},	 {"<", OP_LESS},     {">", OP_MORE},
};

/* Syslog's, and the names that alert sources have for them. */
static const struct {
	const char *name;
	int severity;
} severities[] = {
	{"debug", 0},	  {"info", 1},	{"informational", 1}, {"notice", 2}, {"low", 2},
	{"warning", 3},	  {"warn", 3},	{"medium", 3},	      {"error", 4},  {"err", 4},
	{"high", 4},	  {"major", 4}, {"critical", 5},      {"crit", 5},   {"alert", 6},
	{"emergency", 7}, {"emerg", 7}, {"panic", 7},	      {"fatal", 7},
};

static int find_severity(const char *text)
{
	for (size_t i = 0; i < sizeof(severities) / sizeof(*severities); i++)
		if (strcasecmp(severities[i].name, text) == 0)
			return severities[i].severity;
	return NO_SEVERITY;
}

/* Decimal only: no white space, hexadecimal digits, infinity. */
static double read_number(const char *text)
{
	char *end;
	const size_t size = strlen(text);

	if (!size || size > 64 || strspn(text, "0123456789+-.eE") != size)
		return (double)NAN;
	const double number = strtod(text, &end);
	return *end || !isfinite(number) ? (double)NAN : number;
}

/* --- making --- */

int alert_condition_new(const char *path, struct error *err, struct alert_condition **result)
{
	cleanup(cleanup_alert_condition) struct alert_condition *condition = NULL;

	if (!*path || strlen(path) > ALERT_PATH_MAX)
		return error_set(err, -EINVAL, "a path has 1 to %d bytes", ALERT_PATH_MAX);
	condition = calloc(1, sizeof(*condition));
	if (condition)
		condition->path = strdup(path);
	if (!condition || !condition->path)
		return error_set(err, -ENOMEM, "out of memory");
	*result = take(condition);
	return 0;
}

static void clear_test(struct test *test)
{
	free(test->text);
	bounded_regex_free(test->regex);
}

void alert_condition_free(struct alert_condition *condition)
{
	if (!condition)
		return;
	for (size_t i = 0; i < condition->count; i++)
		clear_test(&condition->tests[i]);
	free(condition->tests);
	free(condition->path);
	free(condition);
}

const char *alert_condition_path(const struct alert_condition *condition)
{
	return condition->path;
}

static const char *skip_comparison(const char *text, enum comparison *comparison)
{
	*comparison = OP_EQUAL;
	for (size_t i = 0; i < sizeof(comparisons) / sizeof(*comparisons); i++) {
		const size_t size = strlen(comparisons[i].text);

		if (strncmp(text, comparisons[i].text, size) == 0) {
			*comparison = comparisons[i].comparison;
			text += size;
			return text + strspn(text, " ");
		}
	}
	return text;
}

static bool is_ordering(enum comparison comparison)
{
	return comparison == OP_LESS || comparison == OP_AT_MOST || comparison == OP_MORE || comparison == OP_AT_LEAST;
}

static bool is_regex(enum comparison comparison)
{
	return comparison == OP_LIKE || comparison == OP_UNLIKE;
}

static int read_test(const char *text, struct test *test, struct error *err)
{
	char quote[REQUEST_QUOTE_SIZE];

	text = skip_comparison(text, &test->comparison);
	if (strlen(text) >= ALERT_TEXT_SIZE)
		return error_set(err, -EINVAL, "is longer than %d bytes", ALERT_TEXT_SIZE - 1);
	test->text = strdup(text);
	if (!test->text)
		return error_set(err, -ENOMEM, "out of memory");
	test->number = read_number(text);
	test->severity = find_severity(text);
	if (is_regex(test->comparison))
		return bounded_regex_new(text, strlen(text), err, &test->regex);
	if (is_ordering(test->comparison) && isnan(test->number) && test->severity == NO_SEVERITY)
		return error_set(err, -EINVAL, "\"%s\" is neither a number nor a severity such as warning",
				 request_text_quote(text, strlen(text), quote));
	return 0;
}

int alert_condition_add(struct alert_condition *condition, const char *text, struct error *err)
{
	struct test test = {0}, *grown;

	if (condition->count == ALERT_TESTS_MAX)
		return error_set(err, -EINVAL, "more than %d tests", ALERT_TESTS_MAX);
	const int r = read_test(text, &test, err);
	if (r < 0) {
		clear_test(&test);
		return r;
	}
	grown = reallocarray(condition->tests, condition->count + 1, sizeof(*grown));
	if (!grown) {
		clear_test(&test);
		return error_set(err, -ENOMEM, "out of memory");
	}
	condition->tests = grown;
	grown[condition->count++] = test;
	return 0;
}

/* --- testing --- */

static bool is_equal(const char *value, const struct test *test)
{
	return strcmp(value, test->text) == 0 || (!isnan(test->number) && read_number(value) == test->number);
}

static bool compare(enum comparison comparison, double a, double b)
{
	switch (comparison) {
	case OP_LESS:
		return a < b;
	case OP_AT_MOST:
		return a <= b;
	case OP_MORE:
		return a > b;
	case OP_AT_LEAST:
		return a >= b;
	default:
		return false;
	}
}

static bool is_ordered(const char *value, const struct test *test)
{
	if (!isnan(test->number))
		return compare(test->comparison, read_number(value), test->number);
	const int severity = find_severity(value);
	return severity != NO_SEVERITY && compare(test->comparison, severity, test->severity);
}

static bool test_holds(const struct test *test, const char *value)
{
	switch (test->comparison) {
	case OP_EQUAL:
		return is_equal(value, test);
	case OP_DIFFERENT:
		return !is_equal(value, test);
	case OP_LIKE:
		return bounded_regex_match(test->regex, value, strlen(value), NULL) == 1;
	case OP_UNLIKE: /* not when it cannot be said */
		return bounded_regex_match(test->regex, value, strlen(value), NULL) == 0;
	default:
		return is_ordered(value, test);
	}
}

/* A look at an alert's value: what was seen, for the reason. */
struct look {
	const struct alert_condition *condition;
	char text[ALERT_TEXT_SIZE];
	bool found;
};

static bool value_satisfies(void *ctx, const json_t *json)
{
	struct look *look = ctx;

	if (!alert_value_text(json, look->text))
		return false;
	look->found = true;
	for (size_t i = 0; i < look->condition->count; i++)
		if (test_holds(&look->condition->tests[i], look->text))
			return true;
	return false;
}

static const char *sign_of(enum comparison comparison)
{
	for (size_t i = 0; i < sizeof(comparisons) / sizeof(*comparisons); i++)
		if (comparisons[i].comparison == comparison && comparison != OP_EQUAL)
			return comparisons[i].text;
	return "";
}

/* 'severity is "3"; the rule wants "<= 2"' */
static void say_what_is_wanted(const struct look *look, struct error *why)
{
	const struct alert_condition *condition = look->condition;
	char quote[REQUEST_QUOTE_SIZE];

	error_set(why, 0, "%s is \"%s\"; the rule wants", condition->path,
		  request_text_quote(look->text, strlen(look->text), quote));
	for (size_t i = 0; i < condition->count && i <= TESTS_SHOWN; i++) {
		const struct test *test = &condition->tests[i];
		const char *sign = sign_of(test->comparison);
		const size_t at = strlen(why->text);

		if (i == TESTS_SHOWN)
			snprintf(why->text + at, sizeof(why->text) - at, " or …");
		else
			snprintf(why->text + at, sizeof(why->text) - at, "%s \"%s%s%s\"", i ? " or" : "", sign,
				 *sign ? " " : "", request_text_quote(test->text, strlen(test->text), quote));
	}
}

bool alert_condition_holds(const struct alert_condition *condition, const json_t *alert, struct error *why)
{
	struct look look = {.condition = condition};

	if (alert_path_test(alert, condition->path, value_satisfies, &look))
		return true;
	if (!look.found)
		(void)alert_why_missing(alert, condition->path, why);
	else if (why)
		say_what_is_wanted(&look, why);
	return false;
}
