/* SPDX-License-Identifier: BSD-2-Clause */
/* An alert that fires anew has another start, so it is another one. */
#include "job/alert_repeats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lru_table.h"

struct repeat {
	struct lru_entry entry;
	uint64_t last_ns; /* boot time; 0: forgotten */
};

struct alert_repeats {
	struct lru_table *table; /* of struct repeat */
};

struct alert_repeats *alert_repeats_new(void)
{
	cleanup(cleanup_alert_repeats) struct alert_repeats *repeats = calloc(1, sizeof(*repeats));

	if (!repeats)
		return NULL;
	repeats->table = lru_table_new(ALERT_REPEATS_MAX, sizeof(struct repeat));
	return repeats->table ? take(repeats) : NULL;
}

void alert_repeats_free(struct alert_repeats *repeats)
{
	if (!repeats)
		return;
	lru_table_free(repeats->table);
	free(repeats);
}

char *alert_repeats_key(const char *rule, const json_t *alert, const char *format)
{
	const char *fingerprint = json_string_value(json_object_get(alert, "fingerprint"));
	const char *begun = json_string_value(json_object_get(alert, "startsAt"));
	char *key;

	if ((strcmp(format, "alertmanager") != 0 && strcmp(format, "grafana") != 0) || !fingerprint || !begun)
		return NULL;
	return asprintf(&key, "%s\n%s\n%s", rule, fingerprint, begun) < 0 ? NULL : key;
}

bool alert_repeats_has(struct alert_repeats *repeats, const char *key, uint64_t now_ns)
{
	struct repeat *repeat = key ? (struct repeat *)(void *)lru_table_find(repeats->table, key) : NULL;

	if (!repeat || !repeat->last_ns || now_ns - repeat->last_ns > ALERT_REPEAT_S * NS_PER_S)
		return false;
	repeat->last_ns = now_ns;
	return true;
}

void alert_repeats_add(struct alert_repeats *repeats, const char *key, uint64_t now_ns)
{
	bool is_new;
	struct repeat *repeat = key ? (struct repeat *)(void *)lru_table_touch(repeats->table, key, &is_new) : NULL;

	if (repeat)
		repeat->last_ns = now_ns;
}

void alert_repeats_forget(struct alert_repeats *repeats, const char *key)
{
	struct repeat *repeat = (struct repeat *)(void *)lru_table_find(repeats->table, key);

	if (repeat)
		repeat->last_ns = 0;
}
