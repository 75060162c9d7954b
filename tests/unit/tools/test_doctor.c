/* SPDX-License-Identifier: BSD-2-Clause */
/* Each state of a host or a daemon that is not in order makes its finding, and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/doctor/doctor_daemon.h"
#include "pcapctl/doctor/doctor_host.h"
#include "pcapctl/doctor/findings.h"
#include "pcapctl/output/terminal.h"

static char directory[] = "/tmp/test_doctor_XXXXXX";

/* The states and checks in order, as "fault capture, ok version". */
static const char *summary(const struct findings *findings)
{
	static const char *const states[] = {"ok", "note", "warning", "fault"};
	static char text[4096];
	char finding[2 * FINDING_TEXT_MAX];
	size_t used = 0;
	int state;

	*text = '\0';
	for (size_t i = 0; (state = finding_get(findings, i, finding)) >= 0; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %.*s", i ? ", " : "", states[state],
					 (int)strcspn(finding, " "), finding);
	return text;
}

static bool has_text(const struct findings *findings, const char *part)
{
	char finding[2 * FINDING_TEXT_MAX];

	for (size_t i = 0; finding_get(findings, i, finding) >= 0; i++) {
		if (strstr(finding, part))
			return true;
	}
	return false;
}

/* --- the host --- */

static void write_file(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", directory, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int make_root(void **state)
{
	static const char *const folders[] = {"/proc", "/proc/sys", "/proc/sys/net", "/proc/sys/net/core"};
	char path[256];

	(void)state;
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	if (!mkdtemp(directory))
		return -1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, sizeof(path), "%s%s", directory, folders[i]);
		if (mkdir(path, 0700) < 0)
			return -1;
	}
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	return remove(path);
}

static int remove_root(void **state)
{
	(void)state;
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_little_room_for_filters_and_little_memory_are_warnings(void **state)
{
	cleanup(cleanup_findings) struct findings *findings = findings_new();

	(void)state;
	write_file("/proc/sys/net/core/optmem_max", "20480\n");
	write_file("/proc/meminfo", "MemTotal:  8000000 kB\nMemFree: 9 kB\nMemAvailable: 700000 kB\n");
	doctor_kernel(findings, directory);
	assert_string_equal(summary(findings), "warning optmem_max, warning memory");
	assert_true(has_text(findings, "sysctl -w net.core.optmem_max=131072"));
	assert_true(has_text(findings, "lower history.memory"));
}

static void test_a_host_in_order_is_ok(void **state)
{
	cleanup(cleanup_findings) struct findings *findings = findings_new();

	(void)state;
	write_file("/proc/sys/net/core/optmem_max", "131072\n");
	write_file("/proc/meminfo", "MemTotal:  8000000 kB\nMemAvailable: 7000000 kB\n");
	doctor_kernel(findings, directory);
	assert_string_equal(summary(findings), "ok optmem_max, ok memory");
}

static void test_a_kernel_without_these_files_has_no_findings(void **state)
{
	cleanup(cleanup_findings) struct findings *findings = findings_new();

	(void)state;
	doctor_kernel(findings, directory);
	assert_string_equal(summary(findings), "");
}

static void test_offloads_that_change_packets_are_found(void **state)
{
	cleanup(cleanup_findings) struct findings *findings = findings_new();

	(void)state;
	doctor_judge_offloads(findings, "eth0", true, "gro, tso");
	doctor_judge_offloads(findings, "eth1", false, "");
	assert_string_equal(summary(findings), "warning lro, note offloads");
	assert_true(has_text(findings, "ethtool -K eth0 lro off"));
}

/* --- the daemon --- */

static void assert_status(const char *status_text, const char *interfaces_text, const char *wanted, const char *part)
{
	cleanup(cleanup_findings) struct findings *findings = findings_new();
	cleanup(cleanup_json) json_t *status = json_loads(status_text, 0, NULL);
	cleanup(cleanup_json) json_t *interfaces = json_loads(interfaces_text, 0, NULL);
	const struct config config = {.history = {.memory_bytes = 64 << 20}};

	assert_non_null(status);
	doctor_status(findings, status, interfaces, &config);
	assert_string_equal(summary(findings), wanted);
	if (part)
		assert_true(has_text(findings, part));
}

#define STATUS(more) "{\"version\":\"" PCAPDAEMON_VERSION "\",\"node\":\"n\",\"destinations\":[\"memory\"]" more "}"
#define INTERFACE(more) "[{\"name\":\"eth0\",\"up\":true,\"recorder\":true,\"ring\":67108864" more "}]"

static void test_a_daemon_in_order_is_ok(void **state)
{
	(void)state;
	assert_status(STATUS(""), INTERFACE(""), "ok capture", NULL);
	assert_status(STATUS(",\"redis\":{\"requests\":true,\"events\":true,\"clock\":{\"offset\":0.2}}"), "[]",
		      "ok capture", NULL);
}

static void test_a_daemon_that_may_not_capture_is_a_fault(void **state)
{
	(void)state;
	assert_status(STATUS(",\"cannot_capture\":\"no\""), "[]", "fault capture", "CAP_NET_RAW");
}

static void test_another_version_and_no_destination_are_warnings(void **state)
{
	(void)state;
	assert_status("{\"version\":\"1.0\",\"destinations\":[]}", "[]",
		      "ok capture, warning version, warning destinations", "the daemon is version 1.0");
}

static void test_a_taken_name_is_a_fault(void **state)
{
	(void)state;
	assert_status(STATUS(",\"name_taken\":true"), "[]", "ok capture, fault name", "general.node");
}

static void test_a_lost_redis_and_a_wrong_clock_are_found(void **state)
{
	(void)state;
	assert_status(
		STATUS(",\"redis\":{\"requests\":false,\"events\":false,\"waiting\":7,\"clock\":{\"offset\":-3.5}}"),
		"[]", "ok capture, fault requests, fault events, warning clock", "3.5 s ahead of Redis's");
	assert_status(STATUS(",\"redis\":{\"requests\":true,\"events\":true,\"clock\":{\"offset\":2}}"), "[]",
		      "ok capture, warning clock", "2 s behind Redis's");
}

static void test_full_capture_memory_is_a_warning(void **state)
{
	(void)state;
	assert_status(STATUS(",\"load\":{\"memory\":950,\"memory_limit\":1000}"), "[]", "ok capture, warning limits",
		      "raise limits.memory");
	assert_status(STATUS(",\"failing\":[{\"name\":\"lab\",\"error\":\"down\"}]"), "[]", "ok capture, fault failing",
		      "lab keeps failing: down");
	assert_status(STATUS(",\"load\":{\"memory\":800,\"memory_limit\":1000}"), "[]", "ok capture", NULL);
}

static void test_recorders_that_cannot_do_their_work_are_warnings(void **state)
{
	(void)state;
	assert_status(STATUS(""),
		      "[{\"name\":\"eth0\",\"up\":true},{\"name\":\"eht0\",\"waiting\":true,\"recorder\":false}]",
		      "ok capture, warning recorder", "write \"eth0\" into history.interfaces");
	assert_status(STATUS(""), "[{\"name\":\"eth0\",\"up\":false,\"recorder\":true}]",
		      "ok capture, warning recorder", "eth0 is recorded, but is down");
	assert_status(STATUS(""), "[{\"name\":\"eth0\",\"up\":true,\"recorder\":true,\"ring\":33554432}]",
		      "ok capture, warning ring", "lower history.memory");
	assert_status(STATUS(""), INTERFACE(",\"dropped\":5"), "ok capture, warning drops", "dropped 5 packets");
}

/* --- the list --- */

static void test_exit_status_is_that_of_the_worst_finding(void **state)
{
	cleanup(cleanup_findings) struct findings *findings = findings_new();
	cleanup(cleanup_free) char *shown = NULL;
	struct terminal terminal = {.quiet = true};
	size_t size;

	(void)state;
	terminal.results = open_memstream(&shown, &size);
	finding_add(findings, FINDING_OK, "a", "", "fine");
	finding_add(findings, FINDING_NOTE, "a", "", "noted");
	assert_int_equal(findings_print(findings, &terminal), STATUS_OK);
	finding_add_error(findings, FINDING_WARNING, "a", &(struct error){"odd\x1b; mend it"});
	assert_int_equal(findings_print(findings, &terminal), STATUS_PARTIAL);
	finding_add(findings, FINDING_FAULT, "a", "", "broken");
	assert_int_equal(findings_print(findings, &terminal), STATUS_FAILED);
	fclose(terminal.results);
	assert_string_equal(shown, "warning  odd\\x1B: mend it\n"
				   "warning  odd\\x1B: mend it\nfault    broken\n");
}

int main(void)
{
#define with_root(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		with_root(test_little_room_for_filters_and_little_memory_are_warnings),
		with_root(test_a_host_in_order_is_ok),
		with_root(test_a_kernel_without_these_files_has_no_findings),
		cmocka_unit_test(test_offloads_that_change_packets_are_found),
		cmocka_unit_test(test_a_daemon_in_order_is_ok),
		cmocka_unit_test(test_a_daemon_that_may_not_capture_is_a_fault),
		cmocka_unit_test(test_another_version_and_no_destination_are_warnings),
		cmocka_unit_test(test_a_taken_name_is_a_fault),
		cmocka_unit_test(test_a_lost_redis_and_a_wrong_clock_are_found),
		cmocka_unit_test(test_full_capture_memory_is_a_warning),
		cmocka_unit_test(test_recorders_that_cannot_do_their_work_are_warnings),
		cmocka_unit_test(test_exit_status_is_that_of_the_worst_finding),
	};

	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
