/* SPDX-License-Identifier: BSD-2-Clause */
/* Names are looked up once for all the interfaces of a request: "any" may have thousands. */
#include "job/interface_rules.h"

#include <string.h>

#include "base/network_interface.h"
#include "capture/engine.h"
#include "config/config.h"

static const struct config_strings everything;

static void resolve(struct interface_rule *rule, const struct config_strings *names)
{
	*rule = (struct interface_rule){.names = names,
					.indexes = names->count ? calloc(names->count, sizeof(*rule->indexes)) : NULL};
	for (size_t i = 0; rule->indexes && i < names->count; i++) {
		struct network_interface device;

		if (network_interface_find(names->items[i], &device) == 0)
			rule->indexes[i] = device.index;
	}
}

void interface_rules_init(struct interface_rules *rules, struct engine *engine, const struct config_requests *allowed,
			  const struct config_key *key)
{
	rules->engine = engine;
	resolve(&rules->origin, &allowed->interfaces);
	resolve(&rules->key, key ? &key->interfaces : &everything);
}

void interface_rules_deinit(struct interface_rules *rules)
{
	free(rules->origin.indexes);
	free(rules->key.indexes);
}

static bool lists(const struct interface_rule *rule, const char *name)
{
	bool found = !rule->names->count;

	for (size_t i = 0; !found && i < rule->names->count; i++)
		found = strcmp(rule->names->items[i], name) == 0;
	return found;
}

bool interface_rule_allows(const struct interface_rules *rules, const struct interface_rule *rule, const char *name,
			   const struct engine_target *target)
{
	bool found = lists(rule, name);

	for (size_t i = 0; !found && i < rule->names->count; i++)
		found = target->source ? engine_had_name(rules->engine, target->source, rule->names->items[i])
				       : target->ifindex && rule->indexes && rule->indexes[i] == target->ifindex;
	return found;
}

bool interface_rules_allow(const struct interface_rules *rules, const char *name, const struct engine_target *target)
{
	return interface_rule_allows(rules, &rules->origin, name, target) &&
	       interface_rule_allows(rules, &rules->key, name, target);
}

bool interface_rules_list(const struct interface_rules *rules, const char *name)
{
	return lists(&rules->origin, name) && lists(&rules->key, name);
}
