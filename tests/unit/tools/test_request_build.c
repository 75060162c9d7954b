/* SPDX-License-Identifier: BSD-2-Clause */
/* Options become the fields of a request; values that no daemon accepts are refused in terms of the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/request_build.h"

#define WORDS_MAX 64

static int build(const char *words, const struct request_plan *plan, json_t **request, struct error *err)
{
	char text[2048], *argv[WORDS_MAX];
	struct command_line line;
	int argc = 0, r;

	snprintf(text, sizeof(text), "pcapctl|capture|%s", words);
	for (char *at = text; at; argc++) {
		argv[argc] = at;
		at = strchr(at, '|');
		if (at)
			*at++ = '\0';
	}
	r = command_line_parse(argc, argv, &line, err);
	if (r == 0)
		r = request_build(&line, plan, request, err);
	command_line_deinit(&line);
	return r;
}

/* Builds a request and compares it, without its generated id. */
static void check_built(const char *words, const struct request_plan *plan, const char *expected)
{
	cleanup(cleanup_json) json_t *request = NULL;
	cleanup(cleanup_free) char *text = NULL;
	struct error err;

	if (build(words, plan, &request, &err) < 0)
		fail_msg("%s: %s", words, err.text);
	if (!strstr(words, "--id"))
		json_object_del(request, "id");
	text = json_dumps(request, JSON_COMPACT);
	assert_string_equal(text, expected);
}

static void check_refused(const char *words, const char *expected)
{
	cleanup(cleanup_json) json_t *request = NULL;
	struct error err;

	assert_int_equal(build(words, &(struct request_plan){0}, &request, &err), -22);
	assert_string_equal(err.text, expected);
}

static void test_minimal_request_is_for_any_node(void **state)
{
	const struct request_plan plan = {.destination = "memory"};

	(void)state;
	check_built("-i|lo|icmp", &plan,
		    "{\"node\":\"any\",\"interface\":[\"lo\"],\"bpf\":\"icmp\",\"to_destinations\":[\"memory\"]}");
	check_built("-i|lo", &(struct request_plan){0}, "{\"node\":\"any\",\"interface\":[\"lo\"]}");
}

static void test_every_option_becomes_its_field(void **state)
{
	const struct request_plan plan = {.destination = "redis", .merge = true};

	(void)state;
	check_built(
		"--nodere|^edge|-i|eth0,eth1|-i|eth2|--snap|96|-c|50|--bytes|10MiB|--timeout|1.5|--duration|2m|--"
		"before|30s|"
		"--tags|a,b|--customer|ACME|--alertid|655443|--comment|why|--id|my.id|--format|pcapng|--dedupe|k|"
		"-d|local,cloudshark|--first-of|lab,archive|--drop-duplicates|--follow|--logrequest|--packetdebug|port|"
		"53",
		&plan,
		"{\"interface\":[\"eth0\",\"eth1\",\"eth2\"],\"bpf\":\"port 53\",\"nodere\":\"^edge\",\"snap\":96,"
		"\"packets\":50,\"bytes\":10485760,\"timeout\":1.5,\"duration\":120,\"before\":30,\"tags\":\"a,b\","
		"\"customer\":\"ACME\",\"alertid\":655443,\"comment\":\"why\",\"id\":\"my.id\",\"format\":\"pcapng\","
		"\"dedupe\":\"k\",\"drop_duplicates\":true,\"follow\":true,\"logrequest\":true,\"packetdebug\":true,"
		"\"merge\":true,"
		"\"to_destinations\":[\"redis\",\"local\",\"cloudshark\"],\"first_of\":[\"lab\",\"archive\"]}");
	check_built("--node|n1|-i|eth0|--files|5|--every|1.5m|--streamed|--no-file", &(struct request_plan){0},
		    "{\"interface\":[\"eth0\"],\"node\":\"n1\",\"files\":5,\"every\":90,\"stream\":true}");
	check_built("--node|n1|-i|eth0|--files|5|--every|100MB", &(struct request_plan){0},
		    "{\"interface\":[\"eth0\"],\"node\":\"n1\",\"files\":5,\"every\":\"100MB\"}");
	check_built(
		"--node|n1|--alias|main|--from|2026-11-23T08:41:00Z|--to|1795423260|--alertid|a-7",
		&(struct request_plan){0},
		"{\"alias\":[\"main\"],\"node\":\"n1\",\"alertid\":\"a-7\",\"from\":\"2026-11-23T08:41:00.000000000Z\","
		"\"to\":\"2026-11-23T08:41:00.000000000Z\"}");
}

static void test_generated_ids_differ(void **state)
{
	cleanup(cleanup_json) json_t *one = NULL;
	cleanup(cleanup_json) json_t *other = NULL;
	struct error err;

	(void)state;
	assert_int_equal(build("-i|lo", &(struct request_plan){0}, &one, &err), 0);
	assert_int_equal(build("-i|lo", &(struct request_plan){0}, &other, &err), 0);
	assert_int_equal(strlen(json_string_value(json_object_get(one, "id"))), 20);
	assert_false(json_equal(json_object_get(one, "id"), json_object_get(other, "id")));
}

static void test_invalid_values_are_refused(void **state)
{
	(void)state;
	check_refused("icmp", "missing interface; name it with -i, or use -i any; `pcapctl status` lists them");
	check_refused("-i|lo|-c|-5", "--packets: must be a number of packets");
	check_refused("-i|lo|-c|0", "--packets: must be a number of packets");
	check_refused("-i|lo|-c|99999999999999999999", "--packets: must be a number of packets");
	check_refused("-i|lo|--snap|262145", "--snap: must be a number of bytes from 1 to 262144");
	check_refused("-i|lo|--bytes|ten", "--bytes: must be a size like 10MiB");
	check_refused("-i|lo|--timeout|soon", "--timeout: must be a time like 30s or 2m");
	check_refused("-i|lo|--duration|0", "--duration: must be a time like 30s or 2m");
	check_refused("-i|lo|--from|yesterday",
		      "--from: must be a time like 19:10, -5m, 2026-11-23T08:41:00Z or Unix seconds");
	check_refused("-i|lo|--to|0x10", "--to: must be a time like 19:10, -5m, 2026-11-23T08:41:00Z or Unix seconds");
	check_refused("-i|lo|--id|a b", "--id: must be 1 to 64 of the characters A-Z a-z 0-9 . _ -");
	check_refused("-i|lo|--format|cap", "--format: must be pcapng or pcap");
	check_refused("-i|lo,,eth0", "--interface: must be names, separated by commas");
	check_refused("-i|lo|--comment|\xff", "--comment: must be text in UTF-8");
	check_refused("-i|lo|\xff", "the filter must be text in UTF-8");
}

static void test_contradictory_options_are_refused(void **state)
{
	(void)state;
	check_refused("-i|lo|--alias|main", "--interface and --alias exclude each other");
	check_refused("-i|lo|--node|a|--nodere|b", "--node and --nodere exclude each other");
	check_refused("-i|lo|--before|1|--from|1", "--before and --from exclude each other");
	check_refused("-i|lo|-w|a|--merge|b", "--write and --merge exclude each other");
	check_refused("-i|lo|--drop-duplicates", "--drop-duplicates needs one file for all interfaces: -w or --merge");
	check_refused("-i|lo|--files|2", "--files and --every go together");
	check_refused("-i|lo|--files|2|--every|1|-w|a", "--files makes several files: leave out -w and --merge");
	check_refused("-i|lo|--streamed", "--streamed sends to the daemon's destinations, not here: add --no-file");
	check_refused("-i|lo|--files|2|--every|x", "--every: must be a time like 60s or a size like 100MB");
	check_refused("-i|lo|-w|a|--no-file", "--write and --no-file exclude each other");
}

static void test_longest_duration_follows_the_request(void **state)
{
	cleanup(cleanup_json) json_t *request = json_pack("{s:f, s:i}", "timeout", 1.5, "duration", 20);

	(void)state;
	assert_int_equal(request_max_duration_ns(request), UINT64_C(20000000000));
	json_object_del(request, "duration");
	assert_int_equal(request_max_duration_ns(request), UINT64_C(1500000000));
	json_object_set_new(request, "to", json_integer(5)); /* long ago */
	assert_int_equal(request_max_duration_ns(request), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minimal_request_is_for_any_node),
		cmocka_unit_test(test_every_option_becomes_its_field),
		cmocka_unit_test(test_generated_ids_differ),
		cmocka_unit_test(test_invalid_values_are_refused),
		cmocka_unit_test(test_contradictory_options_are_refused),
		cmocka_unit_test(test_longest_duration_follows_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
