/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing of requests: fields, defaults and refusals. The configuration is handmade. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "request/request.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define OWN(text) ((char[]){text}) /* the configuration's strings are not const */
#define RECEIVED_NS UINT64_C(1795423260123456789)

/* A valid message for this node, without its end: tests add fields. */
#define OURS "{\"node\":\"alpha\",\"interface\":[\"eth0\"]"

static char *eth0_alias[] = {OWN("main"), OWN("public")};
static char *eth1_alias[] = {OWN("public"), OWN("backup")};
static struct config_interface interfaces[] = {
	{.name = OWN("eth0"), .alias = {eth0_alias, COUNT(eth0_alias)}},
	{.name = OWN("eth1"), .alias = {eth1_alias, COUNT(eth1_alias)}},
	{.name = OWN("lo")},
};

static struct config config = {
	.general = {.node = OWN("alpha"),
		    .maxpackets = 50000,
		    .maxbytes = 100000000,
		    .maxtimeout_ns = 3600 * NS_PER_S,
		    .maxduration_ns = 7200 * NS_PER_S,
		    .defaulttimeout_ns = 60 * NS_PER_S,
		    .snaplength_bytes = 500,
		    .format = OWN("pcapng")},
	.interfaces = interfaces,
	.interface_count = COUNT(interfaces),
};

static const char *const destinations[] = {"cloudshark", "directory"};

static enum request_verdict parse(const void *bytes, size_t size, struct request_refusal *refusal,
				  struct request **request)
{
	return request_parse(bytes, size, &(struct request_arrival){.received_ns = RECEIVED_NS}, &config, destinations,
			     COUNT(destinations), refusal, request);
}

static enum request_verdict verdict_of(const char *json, struct request_refusal *refusal)
{
	struct request *request = NULL;
	enum request_verdict verdict = parse(json, strlen(json), refusal, &request);

	if (verdict == REQUEST_OURS)
		request_unref(request);
	return verdict;
}

static struct request *accepted(const char *json)
{
	struct request *request = NULL;
	struct request_refusal refusal;

	if (parse(json, strlen(json), &refusal, &request) != REQUEST_OURS)
		fail_msg("not accepted: %.200s: %s", json, refusal.error.text);
	return request;
}

static void check_refused_bytes(const char *bytes, size_t size, const char *field, const char *text)
{
	struct request *request = NULL;
	struct request_refusal refusal;

	if (parse(bytes, size, &refusal, &request) != REQUEST_INVALID)
		fail_msg("not refused: %.200s", bytes);
	if (strcmp(refusal.field, field) != 0 || !strstr(refusal.error.text, text))
		fail_msg("%.200s\n  refused for \"%s\": %s\n  expected \"%s\": %s", bytes, refusal.field,
			 refusal.error.text, field, text);
	if (*field)
		assert_non_null(strstr(refusal.error.text, field));
	assert_null(request);
}

static void check_refused(const char *json, const char *field, const char *text)
{
	check_refused_bytes(json, strlen(json), field, text);
}

struct refusal_case {
	const char *json, *field, *text;
};

static void check_all_refused(const struct refusal_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_refused(cases[i].json, cases[i].field, cases[i].text);
}

/* --- accepted requests --- */

static void test_missing_fields_get_the_configured_defaults(void **state)
{
	cleanup(cleanup_request) struct request *request = accepted(OURS "}");

	(void)state;
	assert_int_equal(request->packets, 50000);
	assert_int_equal(request->bytes, 100000000);
	assert_int_equal(request->snap, 500);
	assert_int_equal(request->duration_ns, 60 * NS_PER_S);
	assert_int_equal(request->idle_ns, 0);
	assert_int_equal(request->format, REQUEST_FORMAT_PCAPNG);
	assert_int_equal(request->received_ns, RECEIVED_NS);
	assert_false(request->logrequest || request->packetdebug || request->id_given);
	assert_null(request->bpf);
	assert_null(request->tags);
	assert_null(request->customer);
	assert_null(request->comment);
	assert_null(request->alertid);
	assert_null(request->rule);
	assert_null(request->destinations);
	assert_int_equal(request->destination_count, 0);
}

static void test_every_field_of_the_contract_is_parsed(void **state)
{
	cleanup(cleanup_request) struct request *request =
		accepted("{\"node\":\"alpha\",\"interface\":[\"eth0\",\"lo\"],\"bpf\":\"tcp\\n and port "
			 "80\",\"inner\":\"udp\",\"snap\":128,"
			 "\"packets\":50,\"bytes\":1000,\"timeout\":1.5,\"duration\":30,\"tags\":\"a,b\",\"customer\":"
			 "\"B\\u00fccher\",\"alertid\":655443,\"comment\":\"one\\n\\ttwo\",\"id\":\"A.b_c-9\",\"rule\":"
			 "\"ids.1\",\"format\":"
			 "\"pcap\",\"merge\":false,\"to_destinations\":[\"directory\",\"cloudshark\",\"directory\"],"
			 "\"logrequest\":true,\"packetdebug\":true}");

	(void)state;
	assert_int_equal(request->interface_count, 2);
	assert_string_equal(request->interfaces[0].name, "eth0");
	assert_null(request->interfaces[0].alias);
	assert_string_equal(request->interfaces[1].name, "lo");
	assert_string_equal(request->bpf, "tcp\n and port 80");
	assert_string_equal(request->inner, "udp");
	assert_int_equal(request->snap, 128);
	assert_int_equal(request->packets, 50);
	assert_int_equal(request->bytes, 1000);
	assert_int_equal(request->idle_ns, 1500 * NS_PER_MS);
	assert_int_equal(request->duration_ns, 30 * NS_PER_S);
	assert_string_equal(request->tags, "a,b");
	assert_string_equal(request->customer, "B\xc3\xbc"
					       "cher");
	assert_string_equal(request->alertid, "655443");
	assert_true(request->alertid_is_integer);
	assert_string_equal(request->comment, "one\n\ttwo");
	assert_string_equal(request->id, "A.b_c-9");
	assert_true(request->id_given);
	assert_string_equal(request->rule, "ids.1");
	assert_int_equal(request->format, REQUEST_FORMAT_PCAP);
	assert_int_equal(request->destination_count, 2);
	assert_string_equal(request->destinations[0], "directory");
	assert_string_equal(request->destinations[1], "cloudshark");
	assert_int_equal(request->first_of_count, 0);
	assert_true(request->logrequest && request->packetdebug);
}

static void test_first_of_keeps_its_order_and_goes_with_to_destinations(void **state)
{
	cleanup(cleanup_request) struct request *alone =
		accepted(OURS ",\"first_of\":[\"directory\",\"cloudshark\",\"directory\"]}");
	cleanup(cleanup_request) struct request *both =
		accepted(OURS ",\"first_of\":[\"directory\"],\"to_destinations\":[\"cloudshark\"]}");

	(void)state;
	assert_int_equal(alone->destination_count, 0);
	assert_int_equal(alone->first_of_count, 2);
	assert_string_equal(alone->first_of[0], "directory");
	assert_string_equal(alone->first_of[1], "cloudshark");
	assert_int_equal(both->destination_count, 1);
	assert_int_equal(both->first_of_count, 1);
}

static void test_timeout_alone_is_the_duration(void **state)
{
	cleanup(cleanup_request) struct request *request = accepted(OURS ",\"timeout\":0.25}");

	(void)state;
	assert_int_equal(request->duration_ns, 250 * NS_PER_MS);
	assert_int_equal(request->idle_ns, 0);
}

static void test_duration_alone_has_no_idle_time(void **state)
{
	cleanup(cleanup_request) struct request *request = accepted(OURS ",\"duration\":7200}");

	(void)state;
	assert_int_equal(request->duration_ns, 7200 * NS_PER_S);
	assert_int_equal(request->idle_ns, 0);
}

static void test_zero_and_empty_text_mean_not_given(void **state)
{
	cleanup(cleanup_request) struct request *request = accepted(
		OURS ",\"packets\":0,\"bytes\":0,\"snap\":0,\"timeout\":0,\"duration\":0.0,\"bpf\":\"\",\"tags\":"
		     "\"\",\"customer\":\"\",\"comment\":\"\",\"alertid\":\"\",\"rule\":\"\"}");

	(void)state;
	assert_int_equal(request->packets, 50000);
	assert_int_equal(request->bytes, 100000000);
	assert_int_equal(request->snap, 500);
	assert_int_equal(request->duration_ns, 60 * NS_PER_S);
	assert_null(request->bpf);
	assert_null(request->tags);
	assert_null(request->customer);
	assert_null(request->comment);
	assert_null(request->alertid);
}

static void test_limits_are_inclusive(void **state)
{
	cleanup(cleanup_request) struct request *request = accepted(
		OURS ",\"packets\":50000,\"bytes\":100000000,\"snap\":262144,\"timeout\":3600,\"duration\":7200.0}");

	(void)state;
	assert_int_equal(request->packets, 50000);
	assert_int_equal(request->bytes, 100000000);
	assert_int_equal(request->snap, 262144);
	assert_int_equal(request->idle_ns, 3600 * NS_PER_S);
	assert_int_equal(request->duration_ns, 7200 * NS_PER_S);
}

static void test_configured_snap_length_is_capped(void **state)
{
	struct config wide = config;
	struct request_refusal refusal;
	cleanup(cleanup_request) struct request *request = NULL;

	(void)state;
	wide.general.snaplength_bytes = UINT64_C(1) << 32;
	assert_int_equal(request_parse(OURS "}", strlen(OURS "}"), &(struct request_arrival){0}, &wide, NULL, 0,
				       &refusal, &request),
			 REQUEST_OURS);
	assert_int_equal(request->snap, REQUEST_SNAP_MAX);
}

static void test_alertid_may_be_text(void **state)
{
	cleanup(cleanup_request) struct request *text = accepted(OURS ",\"alertid\":\"INC-7\"}");
	cleanup(cleanup_request) struct request *negative = accepted(OURS ",\"alertid\":-9223372036854775808}");

	(void)state;
	assert_string_equal(text->alertid, "INC-7");
	assert_false(text->alertid_is_integer);
	assert_string_equal(negative->alertid, "-9223372036854775808");
	assert_true(negative->alertid_is_integer);
}

static void test_original_fields_are_accepted(void **state)
{
	static const struct {
		const char *fields, *alertid;
		bool is_integer;
	} cases[] = {
		{",\"alertstr\":\"INC-7\"}", "INC-7", false},
		{",\"alertstr\":\"INC-7\",\"alertid\":0}", "INC-7", false},
		{",\"alertid\":\"\",\"alertstr\":\"INC-7\"}", "INC-7", false},
		{",\"alertstr\":\"INC-7\",\"alertid\":5}", "5", true},
		{",\"alertid\":\"A\",\"alertstr\":\"a\\nb\"}", "A", false},
		{",\"alertstr\":\"\",\"alertid\":0}", NULL, false},
		{",\"aliasmatched\":true}", NULL, false},
		{",\"aliasmatched\":\"main\"}", NULL, false},
		{",\"aliasmatched\":null}", NULL, false},
		{",\"aliasmatched\":[1,{\"a\":2.5}]}", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char json[512];

		snprintf(json, sizeof(json), "%s%s", OURS, cases[i].fields);
		cleanup(cleanup_request) struct request *request = accepted(json);
		if (cases[i].alertid)
			assert_string_equal(request->alertid, cases[i].alertid);
		else
			assert_null(request->alertid);
		assert_int_equal(request->alertid_is_integer, cases[i].is_integer);
	}
	check_refused(OURS ",\"alertstr\":7}", "alertstr", "must be a string, not an integer");
	check_refused(OURS ",\"alertstr\":\"a\\nb\"}", "alertstr", "control character");
}

static void test_request_cannot_disable_configured_logging(void **state)
{
	struct config loud = config;
	struct request_refusal refusal;
	cleanup(cleanup_request) struct request *request = NULL;
	const char *json = OURS ",\"logrequest\":false}";

	(void)state;
	loud.general.logrequests = loud.general.packetdebug = true;
	loud.general.format = OWN("pcap");
	assert_int_equal(request_parse(json, strlen(json), &(struct request_arrival){0}, &loud, NULL, 0, &refusal,
				       &request),
			 REQUEST_OURS);
	assert_true(request->logrequest && request->packetdebug);
	assert_int_equal(request->format, REQUEST_FORMAT_PCAP);
}

static void test_missing_id_is_generated_and_unique(void **state)
{
	cleanup(cleanup_request) struct request *one = accepted(OURS "}");
	cleanup(cleanup_request) struct request *other = accepted(OURS "}");

	(void)state;
	assert_int_equal(strlen(one->id), 16);
	assert_int_equal(strspn(one->id, "0123456789abcdef"), 16);
	assert_string_not_equal(one->id, other->id);
}

static void test_compact_json_keeps_order_and_numbers(void **state)
{
	cleanup(cleanup_request) struct request *request = accepted(
		" { \"timeout\" : 0.1 ,\n\"interface\":[ \"eth0\" ], \"node\":\"alpha\", \"comment\":\"a b\" } \n");

	(void)state;
	assert_string_equal(request->json,
			    "{\"timeout\":0.1,\"interface\":[\"eth0\"],\"node\":\"alpha\",\"comment\":\"a b\"}");
}

static void test_request_lives_until_its_last_unref(void **state)
{
	struct request *request = accepted(OURS "}");

	(void)state;
	assert_ptr_equal(request_ref(request), request);
	request_unref(request);
	assert_string_equal(request->interfaces[0].name, "eth0");
	request_unref(request);
	request_unref(NULL);
}

/* --- interfaces and aliases --- */

static void test_alias_selects_each_of_its_interfaces_once(void **state)
{
	cleanup(cleanup_request) struct request *request =
		accepted("{\"node\":\"any\",\"alias\":[\"backup\",\"public\",\"main\",\"public\"]}");

	(void)state;
	assert_int_equal(request->interface_count, 2);
	assert_string_equal(request->interfaces[0].name, "eth1");
	assert_string_equal(request->interfaces[0].alias, "backup");
	assert_string_equal(request->interfaces[1].name, "eth0");
	assert_string_equal(request->interfaces[1].alias, "public");
}

static void test_interface_named_twice_is_captured_once(void **state)
{
	cleanup(cleanup_request) struct request *request =
		accepted("{\"node\":\"alpha\",\"interface\":[\"eth0\",\"any\",\"eth0\",\"not-there-yet12\"]}");

	(void)state;
	assert_int_equal(request->interface_count, 3);
	assert_string_equal(request->interfaces[0].name, "eth0");
	assert_string_equal(request->interfaces[1].name, "any");
	assert_string_equal(request->interfaces[2].name, "not-there-yet12");
}

#define NAME_OF_64 "0123456789012345678901234567890123456789012345678901234567890123"

static void test_bad_interfaces_and_aliases_are_refused(void **state)
{
#define NODE "{\"node\":\"alpha\","
	static const struct refusal_case cases[] = {
		{NODE "\"interface\":[]}", "interface", "is empty"},
		{NODE "\"alias\":[]}", "alias", "is empty"},
		{NODE "\"interface\":\"eth0\"}", "interface", "must be an array of strings, not a string"},
		{NODE "\"interface\":null}", "interface", "not null"},
		{NODE "\"interface\":[\"eth0\",7]}", "interface", "entry 2 is not a string"},
		{NODE "\"interface\":[\"\"]}", "interface", "entry 1 is empty"},
		{NODE "\"interface\":[\"../etc/x\"]}", "interface", "\"../etc/x\" is not a valid interface name"},
		{NODE "\"interface\":[\"..\"]}", "interface", "is not a valid interface name"},
		{NODE "\"interface\":[\".\"]}", "interface", "is not a valid interface name"},
		{NODE "\"interface\":[\"eth 0\"]}", "interface", "is not a valid interface name"},
		{NODE "\"interface\":[\"" NAME_OF_64 NAME_OF_64 "\"]}", "interface", "1 to 127 bytes"},
		{NODE "\"interface\":[\"eth0\\n\"]}", "interface", "control character"},
		{NODE "\"interface\":[\"eth0\\u0000\"]}", "interface", "NUL"},
		{NODE "\"interface\":[[\"eth0\"]]}", "interface", "entry 1 is not a string"},
		{NODE "\"alias\":[\"pubilc\"]}", "alias", "\"pubilc\", did you mean \"public\"?"},
		{NODE "\"alias\":[\"main\",\"zzzzzz\"]}", "alias",
		 "no interface on this node has the alias \"zzzzzz\""},
		{NODE "\"alias\":[\"ma\\u0007in\"]}", "alias", "control character"},
		{NODE "\"alias\":[\"main\"],\"interface\":[\"eth0\"]}", "interface",
		 "exactly one of interface and alias"},
		{NODE "\"packets\":5}", "interface", "exactly one of interface and alias"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
}

static void test_interfaces_are_capped(void **state)
{
	char json[REQUEST_SIZE_MAX] = NODE "\"interface\":[\"x\"";
	size_t used = strlen(json);

	(void)state;
	for (int i = 0; i < REQUEST_INTERFACES_MAX; i++)
		used += (size_t)snprintf(json + used, sizeof(json) - used, ",\"e%d\"", i);
	snprintf(json + used, sizeof(json) - used, "]}");
	check_refused(json, "interface", "has 4097 entries; the limit is 4096");
}

/* --- node selection --- */

static void test_request_for_another_node_is_not_validated_further(void **state)
{
	static const char *const messages[] = {
		"{\"node\":\"beta\"}",
		"{\"node\":\"Alpha\"}",
		"{\"node\":\"alphabet\"}",
		"{\"node\":\"alph\"}",
		"{\"node\":\"b\\u00e9ta\",\"nonsense\":{\"a\":[1.5e3,null]}}",
		"{\"interface\":7,\"packets\":-1,\"bpf\":\"a\\u0000b\",\"node\":\"beta\"}",
		"{\"nodere\":\"^beta\",\"packets\":-1}",
		"{\"nodere\":\"^alpha\\\\d$\",\"packets\":-1}",
		"{\"nodere\":\"ALPHA\"}",
		"\r\n {\t\"node\" : \"beta\" , \"x\" : [ true , false , null , -0.5 , { } , [ ] ] } ",
		"{\"nodes\":1,\"n\\u006fde\":\"beta\"}",
	};
	struct request_refusal refusal;

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++)
		if (verdict_of(messages[i], &refusal) != REQUEST_ELSEWHERE)
			fail_msg("not elsewhere: %s", messages[i]);
}

static void test_request_reaches_this_node_by_name_any_or_expression(void **state)
{
#define ETH0 ",\"interface\":[\"eth0\"]}"
	static const char *const messages[] = {
		"{\"node\":\"alpha\"" ETH0,
		"{\"node\":\"any\"" ETH0,
		"{\"node\":\"\\u0061lpha\"" ETH0,
		"{\"n\\u006fde\":\"alpha\"" ETH0,
		"{\"nodere\":\"lph\"" ETH0,
		"{\"nodere\":\"^al\\\\w+a$\"" ETH0,
		"{\"nodere\":\"^(alpha|beta)$\"" ETH0,
		"{\"nodere\":\"(?i)ALPHA\"" ETH0,
		"{\"nodere\":\".\"" ETH0,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++)
		request_unref(accepted(messages[i]));
}

static void test_request_without_a_valid_node_is_refused(void **state)
{
	static const struct refusal_case cases[] = {
		{"{}", "node", "exactly one of node and nodere"},
		{"{\"interface\":[\"eth0\"]}", "node", "exactly one"},
		{"{\"node\":\"beta\",\"nodere\":\"beta\"}", "node", "exactly one"},
		{"{\"node\":\"alpha\",\"nodere\":\"\"}", "node", "exactly one"},
		{"{\"node\":7}", "node", "must be a string"},
		{"{\"node\":null}", "node", "must be a string"},
		{"{\"node\":[\"beta\"]}", "node", "must be a string"},
		{"{\"nodere\":true}", "nodere", "must be a string"},
		{"{\"node\":\"\"}", "node", "is empty"},
		{"{\"nodere\":\"\"}", "nodere", "is empty"},
		{"{\"node\":\"be\\u0000ta\"}", "node", "control character"},
		{"{\"node\":\"beta\\n\"}", "node", "control character"},
		{"{\"node\":\"be\x7fta\"}", "node", "control character"},
		{"{\"node\":\"be\xc2\x85ta\"}", "node", "control character"},
		{"{\"nodere\":\"be\\u0000ta\"}", "nodere", "control character"},
		{"{\"node\":\"beta\",\"node\":\"alpha\"}", "node", "given twice"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
}

static void test_bad_expression_is_refused_with_its_position(void **state)
{
	static const struct refusal_case cases[] = {
		{"{\"nodere\":\"a(b\"}", "nodere", "bad expression at byte 3: missing closing parenthesis"},
		{"{\"nodere\":\"*\"}", "nodere", "at byte 0"},
		{"{\"nodere\":\"[z-a]\"}", "nodere", "bad expression"},
		{"{\"nodere\":\"a\\\\C\"}", "nodere", "bad expression"},
		{"{\"nodere\":\"((((((((((((((((((a))))))))))))))))))\"}", "nodere", "nested"},
		{"{\"nodere\":\"((a{0,60}){0,60}){0,60}\"}", "nodere", "too large"},
		{"{\"nodere\":\"(?R)\"}", "nodere", "cannot be matched"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
}

static void test_expression_length_is_capped(void **state)
{
	char json[512];
	struct request_refusal refusal;

	(void)state;
	snprintf(json, sizeof(json), "{\"nodere\":\"%0256d\"}", 0);
	assert_int_equal(verdict_of(json, &refusal), REQUEST_ELSEWHERE);
	snprintf(json, sizeof(json), "{\"nodere\":\"%0257d\"}", 0);
	check_refused(json, "nodere", "is 257 bytes long; the limit is 256");
}

/* It ends in a refusal, however long the node's name; a benchmark measures the time. */
static void test_catastrophic_expression_is_refused(void **state)
{
	static const char *const expressions[] = {
		"\\\\w*\\\\w*(?|){1,60}\\\\R",
		"(?|(?||){0,9}(?i:a)[a-z]\\\\R\\\\X)",
		"(a+)+$",
		"(a|aa)+$",
		"(a|a)+$",
		"(.*a){20}$",
		"^(([a-z])+.)+[A-Z]([a-z])+$",
		"(\\\\w+\\\\s?)*$",
	};
	char *node = config.general.node;
	char json[128];

	(void)state;
	config.general.node = OWN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
	for (size_t i = 0; i < COUNT(expressions); i++) {
		snprintf(json, sizeof(json), "{\"nodere\":\"%s\"}", expressions[i]);
		check_refused(json, "nodere", "expression is too expensive");
	}
	config.general.node = node;
}

/* --- values --- */

static void test_wrong_types_are_refused(void **state)
{
	static const struct refusal_case cases[] = {
		{OURS ",\"bpf\":7}", "bpf", "must be a string, not an integer"},
		{OURS ",\"bpf\":null}", "bpf", "not null"},
		{OURS ",\"snap\":\"500\"}", "snap", "must be an integer, not a string"},
		{OURS ",\"packets\":50.0}", "packets", "must be an integer, not a number with a fraction or exponent"},
		{OURS ",\"packets\":1e3}", "packets", "must be an integer, not a number with a fraction or exponent"},
		{OURS ",\"packets\":true}", "packets", "must be an integer, not true"},
		{OURS ",\"bytes\":0.5}", "bytes", "must be an integer"},
		{OURS ",\"bytes\":\"10MB\"}", "bytes", "must be an integer"},
		{OURS ",\"timeout\":\"30\"}", "timeout", "must be a number of seconds, not a string"},
		{OURS ",\"duration\":[30]}", "duration", "must be a number of seconds, not an array"},
		{OURS ",\"tags\":[\"a\"]}", "tags", "must be a string, not an array"},
		{OURS ",\"customer\":7}", "customer", "must be a string"},
		{OURS ",\"alertid\":1.5}", "alertid", "must be an integer or a string"},
		{OURS ",\"alertid\":null}", "alertid", "must be an integer or a string, not null"},
		{OURS ",\"comment\":{}}", "comment", "must be a string, not an object"},
		{OURS ",\"id\":17}", "id", "must be a string"},
		{OURS ",\"format\":1}", "format", "must be a string"},
		{OURS ",\"merge\":0}", "merge", "must be true or false, not an integer"},
		{OURS ",\"drop_duplicates\":1}", "drop_duplicates", "must be true or false, not an integer"},
		{OURS ",\"drop_duplicates\":true}", "drop_duplicates", "needs merge"},
		{OURS ",\"drop_duplicates\":true,\"merge\":false}", "drop_duplicates", "needs merge"},
		{OURS ",\"stream\":1}", "stream", "must be true or false"},
		{OURS ",\"stream\":true,\"format\":\"pcap\"}", "format", "must be pcapng"},
		{OURS ",\"stream\":true,\"packetdebug\":true}", "packetdebug", "not possible with stream"},
		{OURS ",\"files\":2}", "every", "go together"},
		{OURS ",\"every\":2}", "files", "go together"},
		{OURS ",\"files\":-1,\"every\":2}", "files", "1 to 1000"},
		{OURS ",\"files\":2,\"every\":true}", "every",
		 "must be a number of seconds, or a size such as \"100MB\", not true"},
		{OURS ",\"files\":2,\"every\":-1}", "every", "at least 0.1 s"},
		{OURS ",\"files\":2,\"every\":\"1s\"}", "every", "is not a size"},
		{OURS ",\"files\":2,\"every\":\"1kB\"}", "every", "is 1000 bytes; it must be 65536 to"},
		{OURS ",\"files\":2,\"every\":1,\"merge\":true}", "merge", "not possible with a series"},
		{OURS ",\"to_destinations\":\"cloudshark\"}", "to_destinations", "must be an array of strings"},
		{OURS ",\"logrequest\":\"yes\"}", "logrequest", "must be true or false"},
		{OURS ",\"packetdebug\":1}", "packetdebug", "must be true or false"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
}

static void test_numbers_out_of_range_are_refused_with_the_cap(void **state)
{
	static const struct refusal_case cases[] = {
		{OURS ",\"packets\":-1}", "packets", "is -1; it must not be negative"},
		{OURS ",\"packets\":50001}", "packets", "is 50001; the limit is 50000 (general.maxpackets)"},
		{OURS ",\"packets\":9223372036854775807}", "packets", "general.maxpackets"},
		{OURS ",\"packets\":9223372036854775808}", "packets", "number out of range"},
		{OURS ",\"packets\":-99999999999999999999999999}", "packets", "number out of range"},
		{OURS ",\"bytes\":-7}", "bytes", "must not be negative"},
		{OURS ",\"bytes\":100000001}", "bytes", "the limit is 100000000 (general.maxbytes)"},
		{OURS ",\"snap\":-1}", "snap", "must be 1 to 262144"},
		{OURS ",\"snap\":262145}", "snap", "is 262145; it must be 1 to 262144"},
		{OURS ",\"snap\":4294967297}", "snap", "must be 1 to 262144"},
		{OURS ",\"timeout\":-0.001}", "timeout", "is -0.001 s; it must not be negative"},
		{OURS ",\"timeout\":3600.5}", "timeout", "is 3600.5 s; the limit is 3600 s (general.maxtimeout)"},
		{OURS ",\"timeout\":1e308}", "timeout", "general.maxtimeout"},
		{OURS ",\"timeout\":1e309}", "timeout", "number out of range"},
		{OURS ",\"timeout\":1e-12}", "timeout", "less than a nanosecond"},
		{OURS ",\"duration\":7201}", "duration", "is 7201 s; the limit is 7200 s (general.maxduration)"},
		{OURS ",\"duration\":9223372036854775807}", "duration", "general.maxduration"},
		{OURS ",\"alertid\":99999999999999999999}", "alertid", "number out of range"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
}

static void test_text_with_nul_or_control_characters_is_refused(void **state)
{
	static const char *const lines[] = {"tags", "customer", "alertid", "comment", "bpf"};
	char json[256];

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		snprintf(json, sizeof(json), OURS ",\"%s\":\"a\\u0000b\"}", lines[i]);
		check_refused(json, lines[i], "NUL");
		snprintf(json, sizeof(json), OURS ",\"%s\":\"a\\u001bb\"}", lines[i]);
		check_refused(json, lines[i], "control character");
		snprintf(json, sizeof(json), OURS ",\"%s\":\"a\\u009bb\"}", lines[i]);
		check_refused(json, lines[i], "control character");
	}
	check_refused(OURS ",\"tags\":\"a\\nb\"}", "tags", "control character");
	check_refused(OURS ",\"customer\":\"a\\tb\"}", "customer", "control character");
	check_refused(OURS ",\"alertid\":\"a\\nb\"}", "alertid", "control character");
	check_refused(OURS ",\"comment\":\"a\\rb\"}", "comment", "control character");
	request_unref(accepted(OURS ",\"bpf\":\"tcp\\r\\n\\tor udp\"}"));
}

static void test_string_lengths_are_capped(void **state)
{
	static const struct {
		const char *field;
		size_t most;
	} cases[] = {{"tags", 4096},	{"customer", 4096}, {"comment", 4096},
		     {"alertid", 4096}, {"bpf", 4096},	    {"inner", 4096}};
	char json[20000], text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(json, sizeof(json), OURS ",\"%s\":\"%0*d\"}", cases[i].field, (int)cases[i].most, 0);
		request_unref(accepted(json));
		snprintf(json, sizeof(json), OURS ",\"%s\":\"%0*d\"}", cases[i].field, (int)cases[i].most + 1, 0);
		snprintf(text, sizeof(text), "is %zu bytes long; the limit is %zu", cases[i].most + 1, cases[i].most);
		check_refused(json, cases[i].field, text);
	}
}

static void test_id_outside_its_pattern_is_refused(void **state)
{
	static const char *const ids[] = {"",	      " ",	  "a b", "../etc/passwd", "a/b", "a\\n",
					  "a\\u0000", "\xc3\xa4", "a,b"};
	char json[256];

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		snprintf(json, sizeof(json), OURS ",\"id\":\"%s\"}", ids[i]);
		check_refused(json, "id", "1 to 64 of the characters");
	}
	snprintf(json, sizeof(json), OURS ",\"id\":\"%064d\"}", 0);
	request_unref(accepted(json));
	snprintf(json, sizeof(json), OURS ",\"id\":\"%065d\"}", 0);
	check_refused(json, "id", "1 to 64 of the characters");
}

/* A label, which nothing fills in. */
static void test_the_name_of_a_rule_is_like_an_id(void **state)
{
	(void)state;
	check_refused(OURS ",\"rule\":\"{alert}\"}", "rule", "1 to 64 of the characters");
	check_refused(OURS ",\"rule\":\"a b\"}", "rule", "1 to 64 of the characters");
	check_refused(OURS ",\"rule\":1}", "rule", "must be a string");
	check_refused(OURS ",\"rule\":\"a\",\"stop\":true,\"dedupe\":\"k\"}", "interface",
		      "cannot be combined with stop");
}

static void test_bad_formats_and_destinations_are_refused(void **state)
{
	static const struct refusal_case cases[] = {
		{OURS ",\"format\":\"PCAP\"}", "format", "must be \"pcapng\" or \"pcap\", not \"PCAP\""},
		{OURS ",\"format\":\"\"}", "format", "must be"},
		{OURS ",\"format\":\"pcap\\u0000\"}", "format", "must be"},
		{OURS ",\"to_destinations\":[]}", "to_destinations", "is empty"},
		{OURS ",\"to_destinations\":[1]}", "to_destinations", "entry 1 is not a string"},
		{OURS ",\"to_destinations\":[\"cloudshrak\"]}", "to_destinations",
		 "no destination \"cloudshrak\" is configured, did you mean \"cloudshark\"?"},
		{OURS ",\"to_destinations\":[\"directory\",\"s3\"]}", "to_destinations", "no destination \"s3\""},
		{OURS ",\"to_destinations\":[\"dir\\nectory\"]}", "to_destinations", "control character"},
		{OURS ",\"first_of\":[\"s3\"]}", "first_of", "no destination \"s3\" is configured"},
		{OURS ",\"first_of\":[]}", "first_of", "is empty"},
		{OURS ",\"first_of\":[\"directory\"],\"to_destinations\":[\"cloudshark\",\"directory\"]}", "first_of",
		 "\"directory\" is in to_destinations as well"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
}

static void test_unknown_fields_are_refused_with_a_suggestion(void **state)
{
	static const struct refusal_case cases[] = {
		{OURS ",\"pakcets\":5}", "pakcets", "unknown field, did you mean \"packets\"?"},
		{OURS ",\"Timeout\":5}", "Timeout", "did you mean \"timeout\"?"},
		{"{\"node\":\"alpha\",\"interfaces\":[\"eth0\"]}", "interfaces", "did you mean \"interface\"?"},
		{OURS ",\"sanplength\":5}", "sanplength", "unknown field"},
		{OURS ",\"\":5}", "", "unknown field"},
		{OURS ",\"a\\nb\":5}", "a?b", "unknown field"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
}

static void test_huge_field_name_is_shortened(void **state)
{
	char json[2048];
	struct request_refusal refusal;

	(void)state;
	snprintf(json, sizeof(json), OURS ",\"\xc3\xbc%01000d\":5}", 0);
	assert_int_equal(verdict_of(json, &refusal), REQUEST_INVALID);
	assert_true(strlen(refusal.field) < sizeof(refusal.field));
	assert_string_equal(refusal.field + strlen(refusal.field) - 3, "...");
	assert_memory_equal(refusal.field,
			    "\xc3\xbc"
			    "000",
			    5);
}

static void test_fields_without_allow_override_are_refused(void **state)
{
	static const char *const s3[] = {"bucket", "folder", "region", "endpoint", "acl", "encryption"};
	char json[128];

	(void)state;
	for (size_t i = 0; i < COUNT(s3); i++) {
		snprintf(json, sizeof(json), OURS ",\"%s\":\"x\"}", s3[i]);
		check_refused(json, s3[i], "allow_override");
	}
}

static void allow_overrides(char **fields, size_t count)
{
	config.s3.allow_override.items = fields;
	config.s3.allow_override.count = count;
}

static void test_fields_that_are_allowed_replace_those_of_s3(void **state)
{
	char *fields[] = {OWN("bucket"), OWN("folder"), OWN("region"), OWN("acl"), OWN("encryption")};

	(void)state;
	allow_overrides(fields, COUNT(fields));
	cleanup(cleanup_request) struct request *all = accepted(
		OURS ",\"bucket\":\"night\",\"folder\":\"a b/\xc3\xbc\",\"region\":\"eu-west-1\",\"acl\":\"private\","
		     "\"encryption\":true}");
	cleanup(cleanup_request) struct request *none =
		accepted(OURS ",\"bucket\":\"\",\"endpoint\":\"\",\"encryption\":false}");
	cleanup(cleanup_request) struct request *off = accepted(OURS ",\"encryption\":\"none\"}");
	assert_string_equal(all->s3.bucket, "night");
	assert_string_equal(all->s3.folder, "a b/\xc3\xbc");
	assert_string_equal(all->s3.region, "eu-west-1");
	assert_string_equal(all->s3.acl, "private");
	assert_string_equal(all->s3.encryption, "AES256");
	assert_null(all->s3.endpoint);
	assert_null(none->s3.bucket);
	assert_null(none->s3.encryption);
	assert_string_equal(off->s3.encryption, "none");

	check_refused(OURS ",\"endpoint\":\"evil.example\"}", "endpoint", "not listed in [s3] allow_override");
	check_refused(OURS ",\"bucket\":\"a/b\"}", "bucket", "\"a/b\" must be 3 to 63");
	check_refused(OURS ",\"folder\":\"../b\"}", "folder", "cannot have");
	check_refused(OURS ",\"folder\":\"a\\nb\"}", "folder", "control character");
	check_refused(OURS ",\"region\":\"a.b/\"}", "region", "at most 63");
	check_refused(OURS ",\"acl\":\"odd\"}", "acl", "no canned access control list");
	check_refused(OURS ",\"encryption\":\"odd\"}", "encryption", "\"odd\" is no encryption");
	check_refused(OURS ",\"encryption\":1}", "encryption", "must be true, false or a string");
	allow_overrides(NULL, 0);
}

/* --- windows --- */

static void test_request_may_begin_before_its_arrival(void **state)
{
	cleanup(cleanup_request) struct request *before = accepted(OURS ",\"before\":7.5}");
	cleanup(cleanup_request) struct request *both = accepted(OURS ",\"before\":7200,\"duration\":5,\"timeout\":2}");
	cleanup(cleanup_request) struct request *none = accepted(OURS ",\"before\":0,\"from\":1795423200}");

	(void)state;
	assert_int_equal(before->before_ns, 7500 * NS_PER_MS);
	assert_int_equal(before->duration_ns, 60 * NS_PER_S);
	assert_int_equal(both->before_ns, 7200 * NS_PER_S);
	assert_int_equal(both->duration_ns, 5 * NS_PER_S);
	assert_int_equal(both->idle_ns, 2 * NS_PER_S);
	assert_int_equal(none->before_ns, 0);
}

static void test_window_takes_both_time_formats(void **state)
{
	static const struct {
		const char *json;
		uint64_t ns;
	} cases[] = {
		{"1795423200", UINT64_C(1795423200000000000)},
		{"1795423200.5", UINT64_C(1795423200500000000)},
		{"1.7954232e9", UINT64_C(1795423200000000000)},
		{"\"2026-11-23T08:40:00Z\"", UINT64_C(1795423200000000000)},
		{"\"2026-11-23T08:40:00.000000001Z\"", UINT64_C(1795423200000000001)},
		{"\"2026-11-23T09:40:00.25+01:00\"", UINT64_C(1795423200250000000)},
	};
	char json[200];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(json, sizeof(json), OURS ",\"from\":%s,\"to\":1795423201}", cases[i].json);
		cleanup(cleanup_request) struct request *request = accepted(json);
		assert_int_equal(request->from_ns, cases[i].ns);
		assert_int_equal(request->to_ns, UINT64_C(1795423201000000000));
		assert_int_equal(request->before_ns, 0);
	}
}

static void test_window_may_have_one_end(void **state)
{
	cleanup(cleanup_request) struct request *from = accepted(OURS ",\"from\":1795423200,\"duration\":5}");
	cleanup(cleanup_request) struct request *to = accepted(OURS ",\"to\":1795423300}");

	(void)state;
	assert_int_equal(from->to_ns, 0);
	assert_int_equal(from->duration_ns, 5 * NS_PER_S);
	assert_int_equal(to->from_ns, 0);
	assert_int_equal(to->to_ns, UINT64_C(1795423300000000000));
}

static void test_contradictory_windows_are_refused(void **state)
{
	static const struct refusal_case cases[] = {
		{OURS ",\"before\":1,\"from\":1795423200}", "before", "cannot be combined with from or to"},
		{OURS ",\"before\":1,\"to\":1795423300}", "before", "cannot be combined with from or to"},
		{OURS ",\"to\":1795423300,\"timeout\":5}", "timeout", "cannot be combined with to"},
		{OURS ",\"to\":1795423300,\"duration\":5}", "duration", "cannot be combined with to"},
		{OURS ",\"from\":1795423200,\"to\":1795423200}", "to", "must be later than from"},
		{OURS ",\"from\":1795423200,\"to\":1795423199.5}", "to", "must be later than from"},
		{OURS ",\"from\":1795430461}", "from", "is more than 7200 s in the future"},
		{OURS ",\"to\":1795430461}", "to", "is more than 7200 s in the future"},
		{OURS ",\"from\":-1}", "from", "not a time in Unix seconds"},
		{OURS ",\"to\":1e300}", "to", "not a time in Unix seconds"},
		{OURS ",\"from\":\"yesterday\"}", "from", "is not a time like"},
		{OURS ",\"from\":\"2026-02-30T00:00:00Z\"}", "from", "is not a time like"},
		{OURS ",\"from\":true}", "from", "must be an RFC 3339 time or Unix seconds"},
		{OURS ",\"before\":\"1\"}", "before", "must be a number of seconds"},
		{OURS ",\"before\":-1}", "before", "must not be negative"},
		{OURS ",\"before\":7201}", "before", "the limit is 7200 s (general.maxduration)"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
	request_unref(accepted(OURS ",\"from\":1795430460}"));
}

static void test_zero_before_means_none_and_zero_from_means_1970(void **state)
{
	cleanup(cleanup_request) struct request *to = accepted(OURS ",\"to\":1795423300,\"before\":0}");
	cleanup(cleanup_request) struct request *from = accepted(OURS ",\"from\":0,\"to\":1795423300}");

	(void)state;
	assert_int_equal(to->before_ns, 0);
	assert_in_range(from->from_ns, 1, NS_PER_MS); /* 1970: as early as possible */
	check_refused(OURS ",\"from\":0,\"before\":3}", "before", "cannot be combined with from or to");
	check_refused(OURS ",\"to\":1795423260}", "to", "is in the past, which requires from");
}

static void test_follow_needs_any_interface(void **state)
{
	cleanup(cleanup_request) struct request *yes =
		accepted(NODE "\"interface\":[\"eth0\",\"any\"],\"follow\":true}");
	cleanup(cleanup_request) struct request *no = accepted(NODE "\"interface\":[\"eth0\"],\"follow\":false}");

	(void)state;
	assert_true(yes->follow);
	assert_false(no->follow);
	check_refused(NODE "\"interface\":[\"eth0\"],\"follow\":true}", "follow", "needs the interface \"any\"");
}

static void test_a_stop_says_only_which_captures_end(void **state)
{
	(void)state;
	cleanup(cleanup_request) struct request *stop =
		accepted(NODE "\"stop\":true,\"dedupe\":\"flow 7\",\"id\":\"s1\"}");
	cleanup(cleanup_request) struct request *none =
		accepted(NODE "\"stop\":false,\"dedupe\":\"flow 7\",\"interface\":[\"eth0\"]}");

	assert_true(stop->stop);
	assert_string_equal(stop->dedupe, "flow 7");
	assert_int_equal(stop->interface_count, 0);
	assert_false(none->stop);
	check_refused(NODE "\"stop\":true}", "dedupe", "is missing: it says which captures end");
	check_refused(NODE "\"stop\":true,\"dedupe\":\"\"}", "dedupe", "is missing: it says which captures end");
	check_refused(NODE "\"stop\":true,\"dedupe\":\"a\",\"interface\":[\"eth0\"]}", "interface",
		      "cannot be combined with stop");
	check_refused(NODE "\"stop\":1,\"dedupe\":\"a\"}", "stop", "must be true or false, not an integer");
}

static void test_merge_is_off_unless_requested(void **state)
{
	cleanup(cleanup_request) struct request *yes = accepted(OURS ",\"merge\":true}");
	cleanup(cleanup_request) struct request *no = accepted(OURS ",\"merge\":false}");
	cleanup(cleanup_request) struct request *silent = accepted(OURS "}");

	(void)state;
	assert_true(yes->merge);
	assert_false(no->merge || silent->merge);
}

/* --- invalid messages --- */

static void test_duplicate_keys_are_refused_by_name(void **state)
{
	static const struct refusal_case cases[] = {
		{OURS ",\"packets\":5,\"packets\":5}", "packets", "is given twice"},
		{OURS ",\"a-name-of-more-than-twenty-bytes\":5,\"a-name-of-more-than-twenty-bytes\":5}",
		 "a-name-of-more-than-twenty-bytes", "is given twice"},
		{OURS ",\"bpf\":\"\\\"packets\\\":\",\"bpf\":\"\"}", "bpf", "is given twice"},
	};

	(void)state;
	check_all_refused(cases, COUNT(cases));
}

static void test_invalid_json_is_refused(void **state)
{
	static const char *const messages[] = {
		OURS, /* cut off */
		"{\"node\":\"alpha\",\"interface\":[\"eth0\"",
		"{\"node\":\"alpha\",\"interface\":[\"eth",
		"{\"node\":\"beta\",",
		"{\"node\":\"beta\"",
		"{",
		"{\"",
		"{\"\\",
		"}",
		"\"",
		OURS "}}",
		OURS "} x",
		OURS "}" OURS "}",
		OURS ",}",
		OURS ",,\"snap\":5}",
		OURS " \"snap\":5}",
		OURS ",\"snap\" 5}",
		OURS ",\"snap\":}",
		OURS ",\"snap\":05}",
		OURS ",\"snap\":+5}",
		OURS ",\"snap\":0x5}",
		OURS ",\"snap\":5.}",
		OURS ",\"snap\":.5}",
		OURS ",\"snap\":-}",
		OURS ",\"snap\":1e}",
		OURS ",\"snap\":NaN}",
		OURS ",\"snap\":-Infinity}",
		OURS ",\"merge\":True}",
		OURS ",\"merge\":nul}",
		OURS ",'snap':5}",
		OURS ",snap:5}",
		OURS ",\"tags\":'a'}",
		OURS ",\"tags\":\"a\tb\"}",
		OURS ",\"tags\":\"\\x41\"}",
		OURS ",\"tags\":\"\\u00g0\"}",
		OURS ",\"tags\":\"\\ud800\"}",
		OURS ",\"tags\":\"\\udc00\\ud800\"}",
		OURS ",\"tags\":\"\xff\"}",
		OURS ",\"tags\":\"\xc0\xaf\"}",
		OURS ",\"tags\":\"\xed\xa0\x80\"}",
		OURS ",\"tags\":\"\xf4\x90\x80\x80\"}",
		OURS ",\"tags\":\"\xe2\x82\"}",
		OURS ",\"a\\u0000b\":5}",
		"{\"node\":\"beta\",\"tags\":\"\xff\"}",
		"{\"node\":\"beta\",\"snap\":05}",
		"{\"node\":\"beta\"]",
		"{\"node\":\"beta\",\"tags\":\"\\ud800\"}",
		"{\"node\":\"beta\",\"a\\u0000b\":5}",
		"{\"node\":\"beta\",\"timeout\":1e999}",
		"{\"node\":\"beta\"} trailing",
		"{\"node\":\"beta\",\"x\":\"a\tb\"}",
		"{\"node\":\"beta\",\"x\":[1}}",
		"{\"node\":\"beta\",\"x\":[}}",
		"{\"node\":\"beta\",\"x\":{]}",
		OURS "/* comment */}",
		OURS "} // comment",
		"\xef\xbb\xbf" OURS "}",
		"node=alpha",
	};
	struct request_refusal refusal;

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		if (verdict_of(messages[i], &refusal) != REQUEST_INVALID)
			fail_msg("not refused: %s", messages[i]);
		if (!strstr(refusal.error.text, "invalid JSON") && !strstr(refusal.error.text, "out of range"))
			fail_msg("%s: %s", messages[i], refusal.error.text);
	}
}

static void test_truncated_messages_are_refused(void **state)
{
	static const char *const messages[] = {
		OURS ",\"bpf\":\"a\\\"b\\u00e9\xc3\xa9\",\"timeout\":-1.5e+3,\"x\":[{\"y\":null}]}",
		"{\"x\":[true,-0.5,{\"y\":\"\\\\\"}],\"nodere\":\"^b\"}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		for (size_t size = 0; size < strlen(messages[i]); size++) {
			/* A copy of exactly that size, so that a sanitizer sees a read past its end. */
			cleanup(cleanup_free) char *copy = malloc(size ? size : 1);
			struct request *request = NULL;
			struct request_refusal refusal;

			assert_non_null(copy);
			memcpy(copy, messages[i], size);
			assert_int_equal(parse(copy, size, &refusal, &request), REQUEST_INVALID);
		}
	}
}

static void test_json_values_other_than_objects_are_refused(void **state)
{
	static const char *const messages[] = {"[]", "[{\"node\":\"alpha\"}]", "7", "\"node\"", "null", "true", "1.5"};

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++)
		check_refused(messages[i], "", "a request must be a JSON object");
	check_refused("", "", "empty");
	check_refused(" \r\n\t ", "", "empty");
	check_refused_bytes(NULL, 0, "", "empty");
	check_refused_bytes("\0", 1, "", "invalid JSON");
	check_refused_bytes(OURS "}\0", sizeof(OURS "}"), "", "invalid JSON");
}

static void test_oversized_message_is_refused_unread(void **state)
{
	size_t size = 10 * 1024 * 1024;
	cleanup(cleanup_free) char *big = malloc(size);
	struct request *request = NULL;
	struct request_refusal refusal;

	(void)state;
	assert_non_null(big);
	memset(big, ' ', size);
	memcpy(big, OURS "}", strlen(OURS "}"));
	check_refused_bytes(big, size, "", "request is 10485760 bytes; the limit is 65536");
	check_refused_bytes(big, REQUEST_SIZE_MAX + 1, "", "request is 65537 bytes; the limit is 65536");
	assert_int_equal(parse(big, REQUEST_SIZE_MAX, &refusal, &request), REQUEST_OURS);
	request_unref(request);
}

static void test_deep_nesting_is_refused_before_parsing(void **state)
{
	char deep[60000];

	(void)state;
	memset(deep, '[', sizeof(deep));
	check_refused_bytes(deep, sizeof(deep), "", "nests deeper than 4 levels");
	check_refused("{\"node\":\"beta\",\"x\":[[[[]]]]}", "", "nests deeper than 4 levels");
	check_refused("{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}", "", "nests deeper than 4 levels");
	check_refused(OURS ",\"x\":[[[]]]}", "x", "unknown field");
	request_unref(accepted(OURS ",\"comment\":\"[[[[[[{{{{{{\\\"[[[[[[\\\\\"}"));
}

static void test_refusal_keeps_a_valid_id(void **state)
{
	struct request_refusal refusal;

	(void)state;
	assert_int_equal(verdict_of(OURS ",\"id\":\"job-7\",\"packets\":-1}", &refusal), REQUEST_INVALID);
	assert_string_equal(refusal.id, "job-7");
	assert_int_equal(verdict_of("{\"id\":\"job-8\"}", &refusal), REQUEST_INVALID);
	assert_string_equal(refusal.id, "job-8");
	assert_int_equal(verdict_of(OURS ",\"id\":\"job/7\"}", &refusal), REQUEST_INVALID);
	assert_string_equal(refusal.id, "");
	assert_int_equal(verdict_of("{\"id\":\"job-7\"", &refusal), REQUEST_INVALID);
	assert_string_equal(refusal.id, "");
}

/* --- tags --- */

static void test_tags_follow_the_contracts_order(void **state)
{
	cleanup(cleanup_request) struct request *request = accepted(
		"{\"node\":\"any\",\"alias\":[\"main\"],\"tags\":\"ids,high\",\"customer\":\"ACME\",\"alertid\":7,"
		"\"snap\":96}");
	cleanup(cleanup_free) char *tags = request_tags(request, &request->interfaces[0], "alpha");

	(void)state;
	assert_string_equal(tags,
			    "customer:ACME,alertid:7,ids,high,alias:main,node:alpha,interface:eth0,snaplength:96");
}

static void test_unset_tags_are_left_out(void **state)
{
	cleanup(cleanup_request) struct request *request = accepted(OURS "}");
	cleanup(cleanup_free) char *tags = request_tags(request, &request->interfaces[0], "alpha");

	(void)state;
	assert_string_equal(tags, "node:alpha,interface:eth0,snaplength:500");
}

static void test_longest_tags_fit(void **state)
{
	char json[3 * REQUEST_STRING_MAX + 256];
	cleanup(cleanup_request) struct request *request = NULL;
	cleanup(cleanup_free) char *tags = NULL;

	(void)state;
	snprintf(json, sizeof(json), OURS ",\"tags\":\"%04096d\",\"customer\":\"%04096d\",\"alertid\":\"%04096d\"}", 0,
		 0, 0);
	request = accepted(json);
	tags = request_tags(request, &request->interfaces[0], "alpha");
	assert_non_null(tags);
	assert_int_equal(strlen(tags),
			 3 * 4096 + strlen("customer:,alertid:,,node:alpha,interface:eth0,snaplength:500"));
}

/* --- memory --- */

static unsigned allocations_left;

static void *scarce_malloc(size_t size)
{
	return allocations_left && allocations_left-- ? malloc(size) : NULL;
}

static void test_out_of_memory_in_the_parser_is_a_refusal(void **state)
{
	const char *json = OURS ",\"bpf\":\"tcp\",\"alertid\":7}";
	struct request_refusal refusal;
	unsigned most = 0;

	(void)state;
	json_set_alloc_funcs(scarce_malloc, free);
	for (;; most++) {
		allocations_left = most;
		if (verdict_of(json, &refusal) == REQUEST_OURS)
			break;
		if (most > 1000)
			break;
	}
	json_set_alloc_funcs(malloc, free);
	assert_in_range(most, 10, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing_fields_get_the_configured_defaults),
		cmocka_unit_test(test_first_of_keeps_its_order_and_goes_with_to_destinations),
		cmocka_unit_test(test_every_field_of_the_contract_is_parsed),
		cmocka_unit_test(test_timeout_alone_is_the_duration),
		cmocka_unit_test(test_duration_alone_has_no_idle_time),
		cmocka_unit_test(test_zero_and_empty_text_mean_not_given),
		cmocka_unit_test(test_limits_are_inclusive),
		cmocka_unit_test(test_configured_snap_length_is_capped),
		cmocka_unit_test(test_alertid_may_be_text),
		cmocka_unit_test(test_original_fields_are_accepted),
		cmocka_unit_test(test_request_cannot_disable_configured_logging),
		cmocka_unit_test(test_missing_id_is_generated_and_unique),
		cmocka_unit_test(test_compact_json_keeps_order_and_numbers),
		cmocka_unit_test(test_request_lives_until_its_last_unref),
		cmocka_unit_test(test_alias_selects_each_of_its_interfaces_once),
		cmocka_unit_test(test_interface_named_twice_is_captured_once),
		cmocka_unit_test(test_bad_interfaces_and_aliases_are_refused),
		cmocka_unit_test(test_interfaces_are_capped),
		cmocka_unit_test(test_request_for_another_node_is_not_validated_further),
		cmocka_unit_test(test_request_reaches_this_node_by_name_any_or_expression),
		cmocka_unit_test(test_request_without_a_valid_node_is_refused),
		cmocka_unit_test(test_bad_expression_is_refused_with_its_position),
		cmocka_unit_test(test_expression_length_is_capped),
		cmocka_unit_test(test_catastrophic_expression_is_refused),
		cmocka_unit_test(test_wrong_types_are_refused),
		cmocka_unit_test(test_numbers_out_of_range_are_refused_with_the_cap),
		cmocka_unit_test(test_text_with_nul_or_control_characters_is_refused),
		cmocka_unit_test(test_string_lengths_are_capped),
		cmocka_unit_test(test_id_outside_its_pattern_is_refused),
		cmocka_unit_test(test_the_name_of_a_rule_is_like_an_id),
		cmocka_unit_test(test_bad_formats_and_destinations_are_refused),
		cmocka_unit_test(test_unknown_fields_are_refused_with_a_suggestion),
		cmocka_unit_test(test_huge_field_name_is_shortened),
		cmocka_unit_test(test_fields_without_allow_override_are_refused),
		cmocka_unit_test(test_fields_that_are_allowed_replace_those_of_s3),
		cmocka_unit_test(test_request_may_begin_before_its_arrival),
		cmocka_unit_test(test_window_takes_both_time_formats),
		cmocka_unit_test(test_window_may_have_one_end),
		cmocka_unit_test(test_contradictory_windows_are_refused),
		cmocka_unit_test(test_zero_before_means_none_and_zero_from_means_1970),
		cmocka_unit_test(test_follow_needs_any_interface),
		cmocka_unit_test(test_a_stop_says_only_which_captures_end),
		cmocka_unit_test(test_merge_is_off_unless_requested),
		cmocka_unit_test(test_duplicate_keys_are_refused_by_name),
		cmocka_unit_test(test_invalid_json_is_refused),
		cmocka_unit_test(test_truncated_messages_are_refused),
		cmocka_unit_test(test_json_values_other_than_objects_are_refused),
		cmocka_unit_test(test_oversized_message_is_refused_unread),
		cmocka_unit_test(test_deep_nesting_is_refused_before_parsing),
		cmocka_unit_test(test_refusal_keeps_a_valid_id),
		cmocka_unit_test(test_tags_follow_the_contracts_order),
		cmocka_unit_test(test_unset_tags_are_left_out),
		cmocka_unit_test(test_longest_tags_fit),
		cmocka_unit_test(test_out_of_memory_in_the_parser_is_a_refusal),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
