/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any message in any format becomes alerts or an error with a text; and whatever an alert says, the filter that a rule
 * makes of it has the rule's structure.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "alert/alert_format.h"
#include "alert/alert_rules.h"
#include "bpf/filter_syntax.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

CLEANUP_DEFINE(json, json_t, json_decref)

/* Paths as short as a fuzzer finds them. */
static const char text[] =
	"[[rule]]\nname = \"typed\"\nmatch = { a = \"!= 0\" }\nalias = [\"m\"]\n"
	"bpf = \"host {b:ip|10.0.0.1} and {c:proto|tcp} port {d:port|1} and net {e:cidr|10.0.0.0/8} and "
	"ether host {f:mac|02:00:00:00:00:01} and len > {g:int|1}\"\n"
	"comment = \"{h|x}\"\nnode = \"{i:host|n}\"\npublish = true\nfrom = \"{j|2026-12-01T10:00:00Z}\"\n"
	"duration = \"{k|1}\"\n"
	"[[rule]]\nname = \"flow\"\nmatch = { src_ip = \"!= 0\" }\nalias = [\"m\"]\n"
	"bpf = \"not arp[ and host {b:ip}] and {flow}\"\n";

static size_t words_of(const char *filter)
{
	size_t words = 0;

	for (const char *at = filter; *at; at++)
		words += *at == ' ';
	return words;
}

static void check_typed(const json_t *request, const char *filter)
{
	REQUIRE(words_of(filter) == 16 && !strpbrk(filter, "()"));
	REQUIRE(json_string_value(json_object_get(request, "to")) && !json_object_get(request, "duration"));
}

/* With the optional part or without, and with ports or without. */
static void check_flow(const json_t *request, const char *filter)
{
	const size_t words = words_of(filter) - (strstr(filter, "arp and host") ? 3 : 0);

	(void)request;
	REQUIRE(words == 19 || words == 31);
}

static void check_alert(const struct alert_rule *rule, const json_t *alert,
			void (*check)(const json_t *request, const char *filter))
{
	static const struct alert_context context = {.node = "n", .format = "json"};
	cleanup(cleanup_json) json_t *request = NULL;
	struct error why = {0};

	if (alert_rule_apply(rule, alert, &context, &request, &why) != ALERT_START) {
		REQUIRE(why.text[0]);
		return;
	}
	const char *filter = json_string_value(json_object_get(request, "bpf"));
	REQUIRE(filter && !strpbrk(filter, "[]{}|&\"'\n"));
	REQUIRE(filter_check_syntax(filter, &why) != -EINVAL);
	check(request, filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct alert_rules rules;
	cleanup(cleanup_json) json_t *alerts = NULL;
	struct buffer faults = BUFFER_INIT(65536);
	struct error err = {0};
	size_t i;
	json_t *alert;

	if (!rules.count)
		REQUIRE(alert_rules_read(&rules, "rules", text, strlen(text), &faults) == 0);
	if (!size)
		return 0;
	if (alert_format_read(data[0] % ALERT_FORMATS, (const char *)data + 1, size - 1, &err, &alerts) < 0) {
		REQUIRE(err.text[0]);
		return 0;
	}
	json_array_foreach(alerts, i, alert)
	{
		REQUIRE(json_is_object(alert));
		check_alert(rules.items[0], alert, check_typed);
		check_alert(rules.items[1], alert, check_flow);
	}
	return 0;
}
