/* SPDX-License-Identifier: BSD-2-Clause */
/* stderr is a pipe, and syslog(3) is replaced by a fake that records its calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <paths.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

#define STAMP_SIZE strlen("2026-11-23T08:41:00.123456789Z ")

static struct {
	const char *ident;
	int facility, severity;
	unsigned calls;
	char text[10000];
} recorded;

/* These replace libc's. With distributions' default flags, syslog() calls the fortified name. */
void openlog(const char *ident, int option, int facility)
{
	(void)option;
	recorded.ident = ident;
	recorded.facility = facility;
}

static void record_call(int severity, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
static void record_call(int severity, const char *fmt, va_list args)
{
	recorded.calls++;
	recorded.severity = severity;
	vsnprintf(recorded.text, sizeof(recorded.text), fmt, args);
}

void syslog(int severity, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	record_call(severity, fmt, args);
	va_end(args);
}

void __syslog_chk(int severity, int flag, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void __syslog_chk(int severity, int flag, const char *fmt, ...)
{
	va_list args;

	(void)flag;
	va_start(args, fmt);
	record_call(severity, fmt, args);
	va_end(args);
}

static int pipe_fd = -1, saved_stderr = -1;

static void capture_stderr(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	pipe_fd = fds[0];
}

/* Returns what was written since capture_stderr() and restores stderr. */
static const char *captured(void)
{
	static char text[20000];
	size_t size = 0;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	for (ssize_t r; (r = read(pipe_fd, text + size, sizeof(text) - 1 - size)) > 0;)
		size += (size_t)r;
	close(pipe_fd);
	text[size] = '\0';
	return text;
}

static void set_level(const char *text)
{
	struct log_level level;
	struct error err;

	assert_int_equal(log_level_parse(text, &level, &err), 0);
	log_set_level(&level);
}

#define assert_logs(expected, ...)                                                       \
	do {                                                                             \
		capture_stderr();                                                        \
		log_notice("test-id" __VA_OPT__(, ) __VA_ARGS__);                        \
		const char *text_ = captured();                                          \
		assert_true(strlen(text_) > STAMP_SIZE);                                 \
		assert_string_equal(text_ + STAMP_SIZE, "notice test-id" expected "\n"); \
	} while (0)

static void test_line_has_time_severity_and_id(void **state)
{
	uint64_t stamp, before = clock_realtime_ns();

	(void)state;
	capture_stderr();
	errno = ENOTTY;
	log_at(LOG_WARNING, "redis-lost");
	assert_int_equal(errno, ENOTTY);
	char line[100];
	snprintf(line, sizeof(line), "%s", captured());
	assert_string_equal(line + STAMP_SIZE, "warning redis-lost\n");
	line[STAMP_SIZE - 1] = '\0';
	assert_int_equal(clock_parse(line, &stamp), 0);
	assert_true(stamp >= before && stamp <= clock_realtime_ns());
}

static void test_every_severity_has_its_word(void **state)
{
	static const char *const words[] = {"emergency", "alert",  "critical", "error",
					    "warning",	 "notice", "info",     "debug"};

	(void)state;
	set_level("debug");
	for (int severity = LOG_EMERG; severity <= LOG_DEBUG; severity++) {
		char expected[100];

		capture_stderr();
		log_at(severity, "x");
		snprintf(expected, sizeof(expected), "%s x\n", words[severity]);
		assert_string_equal(captured() + STAMP_SIZE, expected);
	}
	set_level("info");
}

static void test_messages_below_the_level_are_not_logged(void **state)
{
	(void)state;
	capture_stderr();
	log_info("logged");
	log_at(LOG_DEBUG, "not-logged");
	assert_string_equal(captured() + STAMP_SIZE, "info logged\n");
	set_level("warning");
	capture_stderr();
	log_notice("not-logged");
	log_warning("logged");
	assert_string_equal(captured() + STAMP_SIZE, "warning logged\n");
	set_level("error");
	capture_stderr();
	log_warning("not-logged");
	assert_string_equal(captured(), "");
	set_level("info");
}

static const char *evaluated(unsigned *count)
{
	++*count;
	return "x";
}

static void test_debug_messages_are_logged_by_area(void **state)
{
	unsigned count = 0;

	(void)state;
	capture_stderr();
	log_debug(redis, "off", log_str("v", evaluated(&count)));
	assert_string_equal(captured(), "");
	assert_int_equal(count, 0);
	set_level("debug:redis,job");
	capture_stderr();
	log_debug(sink, "other-area", log_str("v", evaluated(&count)));
	log_debug(redis, "asked-for", log_str("v", evaluated(&count)));
	assert_string_equal(captured() + STAMP_SIZE, "debug asked-for area=redis v=x\n");
	assert_int_equal(count, 1);
	set_level("debug");
	capture_stderr();
	log_debug(sink, "all");
	assert_string_equal(captured() + STAMP_SIZE, "debug all area=sink\n");
	set_level("info");
}

#define LEVELS "; use one of error, warning, notice, info, debug"
#define AREAS "; use one of api, capture, event, job, redis, sink, trigger"

static void test_bad_level_gets_a_suggestion(void **state)
{
	static const struct {
		const char *text, *wrong;
	} cases[] = {
		{"", "there is no log level \"\"" LEVELS},
		{"Info ", "there is no log level \"Info \" (did you mean \"info\"?)"},
		{"debgu", "there is no log level \"debgu\" (did you mean \"debug\"?)"},
		{"emergency", "there is no log level \"emergency\"" LEVELS},
		{"info:redis", "only debug has areas, not \"info\""},
		{"debug:", "there is no log area \"\"" AREAS},
		{"debug:redis,", "there is no log area \"\"" AREAS},
		{"debug:redis,captrue", "there is no log area \"captrue\" (did you mean \"capture\"?)"},
	};
	struct log_level level = {.severity = -1};
	char longest[300];
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(log_level_parse(cases[i].text, &level, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].wrong);
	}
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(log_level_parse(longest, &level, &err), -EINVAL);
	assert_int_equal(level.severity, -1);
}

static void test_values_are_formatted_by_type(void **state)
{
	(void)state;
	assert_logs(" s=word i=-5 u=18446744073709551615 n=1.5 yes=true no=false", log_str("s", "word"),
		    log_int("i", -5), log_uint("u", UINT64_MAX), log_num("n", 1.5), log_bool("yes", true),
		    log_bool("no", false));
	assert_logs(" n=1795423260.123 n=0.1 n=nan", log_num("n", 1795423260.123), log_num("n", 0.1),
		    log_num("n", (double)NAN));
	assert_logs(" after=1", log_str("absent", NULL), log_int("after", 1));
	assert_logs("");
}

static void test_only_plain_words_are_unquoted(void **state)
{
	(void)state;
	assert_logs(" v=AZaz09._:/@+,=-", log_str("v", "AZaz09._:/@+,=-"));
	assert_logs(" v=\"\"", log_str("v", ""));
	assert_logs(" v=\"two words\"", log_str("v", "two words"));
	assert_logs(" v=\"grüße €😀\"", log_str("v", "grüße €😀"));
}

static void test_values_cannot_forge_a_line(void **state)
{
	(void)state;
	assert_logs(" v=\"a\\n2026 error x\"", log_str("v", "a\n2026 error x"));
	assert_logs(" v=\"a\\\" b=\\\"c\\\\\"", log_str("v", "a\" b=\"c\\"));
	assert_logs(" v=\"\\x0D\\x09\\x1B[31m\\x7F\\x01\"", log_str("v", "\r\t\x1b[31m\x7f\x01"));
	/* Not UTF-8, C1 controls, a right-to-left override, a line separator. */
	assert_logs(" v=\"\\xFF\\xC3(\\xC0\\x80\"", log_str("v", "\xff\xc3(\xc0\x80"));
	assert_logs(" v=\"\\xC2\\x9B\"", log_str("v", "\xc2\x9b"));
	assert_logs(" v=\"\\xE2\\x80\\xAE\\xE2\\x80\\xA8\"", log_str("v", "\xe2\x80\xae\xe2\x80\xa8"));
	assert_logs(" v=\"\\xE2\\x82\"", log_str("v", "\xe2\x82"));
}

/* Sizes around the limit, to cover every way of ending. */
static void test_long_line_is_cut_and_marked(void **state)
{
	static char value[20000];

	(void)state;
	for (int quoted = 0; quoted < 2; quoted++) {
		for (size_t size = 8080; size < 8220; size++) {
			memset(value, 'v', sizeof(value));
			value[0] = quoted ? ' ' : 'v';
			value[size] = '\0';
			capture_stderr();
			log_notice("test-id", log_str("long", value), log_str("more", "a b"));
			const char *line = captured();
			size_t length = strlen(line);

			assert_true(length <= 8192);
			assert_ptr_equal(strchr(line, '\n'), line + length - 1);
			const char *end = "more=\"a b\"\n";
			if (strcmp(line + length - strlen(end), end) != 0) {
				assert_string_equal(line + length - strlen(" [cut]\n"), " [cut]\n");
				assert_true(length > 8150);
			}
		}
	}
	memset(value, '\n', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	capture_stderr();
	log_notice("test-id", log_str("long", value));
	const char *line = captured();
	assert_string_equal(line + strlen(line) - strlen("\\n\" [cut]\n"), "\\n\" [cut]\n");
}

/* A pipe with O_DIRECT keeps the boundaries of writes. */
static void test_each_line_is_one_write(void **state)
{
	int fds[2];
	char first[200], second[200];

	(void)state;
	assert_int_equal(pipe2(fds, O_DIRECT | O_NONBLOCK), 0);
	int kept = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	log_notice("one", log_str("a", "b c"));
	log_notice("two");
	dup2(kept, STDERR_FILENO);
	close(kept);
	ssize_t first_size = read(fds[0], first, sizeof(first)), second_size = read(fds[0], second, sizeof(second));
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(first_size, STAMP_SIZE + strlen("notice one a=\"b c\"\n"));
	assert_int_equal(second_size, STAMP_SIZE + strlen("notice two\n"));
}

static void *log_some(void *ctx)
{
	for (int i = 0; i < 50; i++)
		log_notice("threads", log_str("thread", ctx), log_int("i", i));
	return NULL;
}

static void test_threads_do_not_mix_lines(void **state)
{
	pthread_t a, b;
	int lines = 0;

	(void)state;
	capture_stderr();
	pthread_create(&a, NULL, log_some, (void *)(uintptr_t) "thread-a");
	pthread_create(&b, NULL, log_some, (void *)(uintptr_t) "thread-b");
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	for (const char *line = captured(); *line; line = strchr(line, '\n') + 1, lines++) {
		assert_non_null(strchr(line, '\n'));
		assert_ptr_equal(strstr(line, "notice threads thread=thread-"), line + STAMP_SIZE);
	}
	assert_int_equal(lines, 100);
}

static void test_syslog_gets_lines_without_time_once_open(void **state)
{
	char tag[] = "tagged";

	(void)state;
	capture_stderr();
	log_notice("before");
	captured();
	assert_int_equal(recorded.calls, 0);

	log_open_syslog(LOG_AUTHPRIV, tag);
	memset(tag, 'x', strlen(tag));
	assert_int_equal(recorded.facility, LOG_AUTHPRIV);
	assert_string_equal(recorded.ident, "tagged");

	capture_stderr();
	log_error("after", log_str("v", "100%s \n"));
	assert_string_equal(captured() + STAMP_SIZE, "error after v=\"100%s \\n\"\n");
	assert_int_equal(recorded.calls, 1);
	assert_int_equal(recorded.severity, LOG_ERR);
	assert_string_equal(recorded.text, "error after v=\"100%s \\n\"");
	capture_stderr();
	log_info("other-severity");
	captured();
	assert_int_equal(recorded.severity, LOG_INFO);
}

static void test_journal_gets_each_line_once(void **state)
{
	struct stat st;
	char stream[64];
	/* Without a syslog socket, the line must go to the journal. */
	bool has_syslog = access(_PATH_LOG, W_OK) == 0;

	(void)state;
	capture_stderr();
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	unsigned calls = recorded.calls;
	log_open_syslog(LOG_DAEMON, "tagged");
	log_notice("once");
	assert_int_equal(recorded.calls, calls + 1);
	assert_int_equal(*captured() == '\0', has_syslog);

	capture_stderr();
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_open_syslog(LOG_DAEMON, "tagged");
	log_notice("elsewhere");
	assert_string_equal(captured() + STAMP_SIZE, "notice elsewhere\n");
	unsetenv("JOURNAL_STREAM");
}

static void test_burst_passes_and_suppressed_lines_are_counted(void **state)
{
	struct log_rate rate = {.burst = 3};
	uint64_t suppressed = 99;

	(void)state;
	/* All within one second of the clock, or again. */
	for (uint64_t second = 0; second != clock_boottime_ns() / NS_PER_S;) {
		second = clock_boottime_ns() / NS_PER_S;
		rate = (struct log_rate){.burst = 3};
		for (int i = 0; i < 3; i++) {
			assert_true(log_rate_allow(&rate, &suppressed));
			assert_int_equal(suppressed, 0);
		}
		if (log_rate_allow(&rate, &suppressed) || log_rate_allow(&rate, &suppressed))
			second = 0;
	}
	assert_int_equal(rate.suppressed, 2);

	rate.second--; /* as if a second had passed */
	assert_true(log_rate_allow(&rate, &suppressed));
	assert_int_equal(suppressed, 2);
	assert_true(log_rate_allow(&rate, &suppressed));
	assert_int_equal(suppressed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_has_time_severity_and_id),
		cmocka_unit_test(test_every_severity_has_its_word),
		cmocka_unit_test(test_messages_below_the_level_are_not_logged),
		cmocka_unit_test(test_debug_messages_are_logged_by_area),
		cmocka_unit_test(test_bad_level_gets_a_suggestion),
		cmocka_unit_test(test_values_are_formatted_by_type),
		cmocka_unit_test(test_only_plain_words_are_unquoted),
		cmocka_unit_test(test_values_cannot_forge_a_line),
		cmocka_unit_test(test_long_line_is_cut_and_marked),
		cmocka_unit_test(test_each_line_is_one_write),
		cmocka_unit_test(test_threads_do_not_mix_lines),
		cmocka_unit_test(test_syslog_gets_lines_without_time_once_open),
		cmocka_unit_test(test_journal_gets_each_line_once),
		cmocka_unit_test(test_burst_passes_and_suppressed_lines_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
