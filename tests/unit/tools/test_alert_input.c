/* SPDX-License-Identifier: BSD-2-Clause */
/* What programs pass to a command for an alert becomes a message that the daemon reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "pcapctl/cli/alert_input.h"
#include "pcapctl/cli/command_line.h"

#define WORDS_MAX 16
#define WORD_SIZE 128

CLEANUP_DEFINE(json, json_t, json_decref)

/* As Nagios exports them (enable_environment_macros), between others. */
static const char *const environment[] = {
	"PATH=/usr/bin",
	"NAGIOS_HOSTNAME=web1",
	"NAGIOS_HOSTADDRESS=192.0.2.7",
	"NAGIOS_SERVICEOUTPUT=HTTP CRITICAL \"x\" = 100% \\ lost",
	"NAGIOS_SERVICEDESC=",
	"NAGIOS_LONGSERVICEOUTPUT=one\ntwo \xff",
	"NAGIOS_=x",
	"NAGIOS_NO VARIABLE=x",
	"ICINGA_HOSTNAME=web2",
	NULL,
};

/* `words`: a NULL-terminated command line after "pcapctl alert". What the daemon reads, or the fault. Caller frees. */
static char *read_alert(const char *const *words)
{
	cleanup(buffer_deinit) struct buffer message = BUFFER_INIT(ALERT_MESSAGE_MAX);
	cleanup(cleanup_json) json_t *alerts = NULL;
	char texts[WORDS_MAX][WORD_SIZE] = {"pcapctl", "alert"}, *argv[WORDS_MAX] = {texts[0], texts[1]};
	enum alert_format format;
	struct command_line line;
	struct error err = {0};
	int argc = 2;

	for (; words[argc - 2]; argc++) {
		snprintf(texts[argc], WORD_SIZE, "%s", words[argc - 2]);
		argv[argc] = texts[argc];
	}
	int r = command_line_parse(argc, argv, &line, &err);
	if (r == 0)
		r = alert_input_format(&line, &format, &err);
	if (r == 0)
		r = alert_input_read(&line, format, environment, &message, &err);
	if (r == 0)
		r = alert_format_read(format, buffer_text(&message), message.size, &err, &alerts);
	command_line_deinit(&line);
	return r < 0 ? strdup(err.text) : json_dumps(alerts, JSON_COMPACT | JSON_SORT_KEYS);
}

static void check(const char *const *words, const char *expected)
{
	cleanup(cleanup_free) char *text = read_alert(words);

	assert_string_equal(text, expected);
}

#define CHECK(expected, ...) check((const char *const[]){__VA_ARGS__, NULL}, expected)

static void test_arguments_are_pairs_whatever_they_hold(void **state)
{
	(void)state;
	CHECK("[{\"host\":\"web1\",\"output\":\"HTTP CRITICAL \\\"x\\\" a=b \\\\\",\"state\":\"\"}]", "--format", "kv",
	      "host=web1", "state=", "output=HTTP CRITICAL \"x\" a=b \\");
	CHECK("[{\"a\":\"\xef\xbf\xbd(\"}]", "--format=kv", "a=\xc3(");
	CHECK("\"b\" is no key=value", "--format", "kv", "a=1", "b");
	CHECK("\"a b=1\" is no key=value", "--format", "kv", "a b=1");
	CHECK("\"=1\" is no key=value", "--format", "kv", "=1");
	CHECK("give one FILE; key=value needs --format kv", "a=1", "b=2");
}

static void test_variables_of_the_environment_are_pairs_without_their_prefix(void **state)
{
	(void)state;
	CHECK("[{\"HOSTADDRESS\":\"192.0.2.7\",\"HOSTNAME\":\"web1\",\"LONGSERVICEOUTPUT\":\"one\\ntwo \xef\xbf\xbd\","
	      "\"SERVICEOUTPUT\":\"HTTP CRITICAL \\\"x\\\" = 100% \\\\ lost\"}]",
	      "--format", "kv", "--environment", "NAGIOS_");
	CHECK("[{\"HOSTNAME\":\"web2\",\"kind\":\"host\"}]", "--format", "kv", "--environment", "ICINGA_", "kind=host");
	CHECK("--environment: no variable begins with ZABBIX_", "--format", "kv", "--environment", "ZABBIX_");
	CHECK("--environment: needs --format kv", "--environment", "NAGIOS_");
}

static void test_an_unknown_format_is_refused_with_the_known_ones(void **state)
{
	(void)state;
	CHECK("--format: must be one of eve zeek alertmanager grafana falco wazuh pagerduty opsgenie elastic trap "
	      "syslog kv json request",
	      "--format", "xml");
}

static void test_a_file_is_an_alert_up_to_a_limit(void **state)
{
	char path[] = "/tmp/alert.XXXXXX";
	const int fd = mkstemp(path);
	static const char alert[] = "{\"rule\":{\"level\":10}}";

	(void)state;
	assert_int_equal(write(fd, alert, strlen(alert)), strlen(alert));
	CHECK("[{\"rule\":{\"level\":10}}]", "--format", "wazuh", path);
	assert_int_equal(ftruncate(fd, ALERT_MESSAGE_MAX + 1), 0);
	cleanup(cleanup_free) char *text = read_alert((const char *const[]){"--format", "wazuh", path, NULL});
	assert_non_null(strstr(text, "is larger than 1048576 bytes"));
	close(fd);
	unlink(path);
}

/* The other end stays open: a read beyond the line would never return. */
static void test_a_line_of_an_active_response_is_the_whole_alert(void **state)
{
	static const char line[] =
		"{\"version\":1,\"origin\":{\"name\":\"node01\",\"module\":\"wazuh-execd\"},"
		"\"command\":\"add\",\"parameters\":{\"extra_args\":[],\"alert\":{\"rule\":{\"level\":"
		"10}},\"program\":\"active-response/bin/pcapdaemon\"}}\n";
	int ends[2], saved = dup(STDIN_FILENO);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(write(ends[1], line, strlen(line)), strlen(line));
	CHECK("[{\"command\":\"add\",\"rule\":{\"level\":10}}]", "--format", "wazuh");
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments_are_pairs_whatever_they_hold),
		cmocka_unit_test(test_variables_of_the_environment_are_pairs_without_their_prefix),
		cmocka_unit_test(test_an_unknown_format_is_refused_with_the_known_ones),
		cmocka_unit_test(test_a_file_is_an_alert_up_to_a_limit),
		cmocka_unit_test(test_a_line_of_an_active_response_is_the_whole_alert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
