/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text is a set of rules or has faults, and any rule can be applied to an alert. */
#include <errno.h>
#include <stdint.h>

#include "alert/alert_rules.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

CLEANUP_DEFINE(json, json_t, json_decref)

static bool has_interface(void *ctx, const char *name)
{
	(void)ctx;
	return name[0] == 'e';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct alert_context context = {.node = "n", .format = "eve", .has_interface = has_interface};
	cleanup(alert_rules_clear) struct alert_rules rules = {0};
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(1024 * 1024);
	cleanup(cleanup_json) json_t *alert =
		json_pack("{si ss s{ss si} s[s] ss ss}", "x", 1, "ip", "10.0.0.1", "a", "b", "10.0.0.2", "p", 443, "l",
			  "v", "t", "2026-12-01T10:00:00Z", "host", "n");
	struct error why;

	REQUIRE(alert);
	const int r = alert_rules_read(&rules, "f", (const char *)data, size, &faults);
	REQUIRE(r == -ENOMEM || (r == -EINVAL) == (faults.size > 0));
	REQUIRE(r == 0 || rules.count == 0);
	for (size_t i = 0; i < rules.count; i++) {
		cleanup(cleanup_json) json_t *request = NULL;
		const enum alert_verdict verdict = alert_rule_apply(rules.items[i], alert, &context, &request, &why);

		REQUIRE(!request == (verdict == ALERT_NO_MATCH || verdict == ALERT_FAILED));
	}
	return 0;
}
