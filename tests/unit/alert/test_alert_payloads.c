/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of real programs, a rule for each, and what comes of them: a line for each alert, the request or the reason
 * why there is none. A file in payloads/ says whether its message was recorded, or written after the program's
 * documentation. The argument is that directory.
 */
#include "alerts.h"

#include <assert.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "alert/alert_format.h"
#include "alert/alert_rules.h"
#include "base/buffer.h"

#define NOW_NS UINT64_C(1796140800000000000) /* 2026-12-01T16:00:00Z */
#define PAYLOADS 52
#define FILE_MAX (64 * 1024)

static const char *directory;

static bool has_interface(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "eth0") == 0;
}

static void read_whole(const char *path, struct buffer *text)
{
	FILE *file = fopen(path, "re");
	char chunk[4096];
	size_t size;

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	while ((size = fread(chunk, 1, sizeof(chunk), file)))
		assert_int_equal(buffer_append(text, chunk, size), 0);
	fclose(file);
}

/* The text between the line `mark` and the next one that begins with "== ", or the end. */
static char *section(const char *text, const char *mark)
{
	const char *begin = strstr(text, mark);

	if (!begin)
		fail_msg("there is no line %s", mark);
	begin += strcspn(begin, "\n") + 1;
	const char *end = strstr(begin, "\n== ");
	return end ? strndup(begin, (size_t)(end - begin) + 1) : strdup(begin);
}

static void apply(const struct alert_rule *rule, const char *format, const json_t *alert, struct buffer *out)
{
	const struct alert_context context = {
		.node = "edge1.example",
		.has_interface = has_interface,
		.format = format,
		.arrived_ns = NOW_NS,
	};
	cleanup(cleanup_json) json_t *request = NULL;
	struct error why = {0};
	const enum alert_verdict verdict = alert_rule_apply(rule, alert, &context, &request, &why);
	cleanup(cleanup_free) char *json = request ? json_dumps(request, JSON_SORT_KEYS | JSON_COMPACT) : NULL;

	assert_int_not_equal(verdict, ALERT_FAILED);
	assert_int_equal(buffer_printf(out, "%s\n", json ? json : why.text), 0);
}

static void check(const char *path)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(FILE_MAX), faults = BUFFER_INIT(FILE_MAX),
					     results = BUFFER_INIT(FILE_MAX);
	cleanup(alert_rules_clear) struct alert_rules rules = {0};
	cleanup(cleanup_json) json_t *alerts = NULL;
	struct error err = {0};
	char format[32];
	size_t i;
	json_t *alert;

	read_whole(path, &text);
	cleanup(cleanup_free) char *rule = section(buffer_text(&text), "== rule\n");
	cleanup(cleanup_free) char *message = section(buffer_text(&text), "== alert ");
	cleanup(cleanup_free) char *expected = section(buffer_text(&text), "== result\n");
	assert_int_equal(sscanf(strstr(buffer_text(&text), "== alert "), "== alert %31s\n", format), 1);
	if (alert_rules_read(&rules, path, rule, strlen(rule), &faults) < 0)
		fail_msg("%s", buffer_text(&faults));
	if (alert_format_read(alert_format_find(format), message, strlen(message), &err, &alerts) < 0)
		fail_msg("%s: %s", path, err.text);
	json_array_foreach(alerts, i, alert)
	{
		apply(rules.items[0], format, alert, &results);
	}
	if (strcmp(buffer_text(&results), expected) != 0)
		fail_msg("%s\n  gives     %s  should be %s", path, buffer_text(&results), expected);
}

static void test_real_messages_become_the_expected_requests(void **state)
{
	char pattern[4096];
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/*.txt", directory);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, PAYLOADS);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check(found.gl_pathv[i]);
	globfree(&found);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_messages_become_the_expected_requests),
	};

	assert(argc == 2);
	directory = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
