/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two rules are not checked here: the filter is compiled with the request's own, and host names are refused there
 * (filter.h, `required` and `no_names`). "any" stands for the allowed interfaces, which targets.c sees to.
 */
#include "job/request_rules.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "history/history_stream.h"
#include "job/interface_rules.h"
#include "job/targets.h"
#include "request/request.h"
#include "sink/delivery.h"

#define ANY "any"

static bool is_listed(const struct config_strings *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], name) == 0)
			return true;
	return false;
}

/* --- destinations --- */

/* Over the control API the default is all of them. Over Redis it is where files go anyway, and Redis itself. */
static bool may_name(const struct request_rules *rules, const char *destination)
{
	const struct config_requests *allowed = rules->allowed;

	if (allowed->destinations.count)
		return is_listed(&allowed->destinations, destination);
	if (allowed == &rules->config->api.requests || deliveries_is_enabled(rules->deliveries, destination))
		return true;
	return allowed->redis_files && strcmp(destination, "redis") == 0;
}

static int check_names(const struct request_rules *rules, const struct config_key *key, const char *field,
		       char *const *names, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = names[i];
		const bool by_default = !rules->allowed->destinations.count && strcmp(name, "redis") == 0;

		if (!may_name(rules, name))
			return error_set(err, -EACCES, "%s: a request may not name \"%s\" (%s.%s)", field, name,
					 rules->allowed->section, by_default ? "redis_files" : "destinations");
		if (key && key->destinations.count && !is_listed(&key->destinations, name))
			return error_set(err, -EACCES, "%s: the key \"%s\" may not name \"%s\" (%s.keys_file)", field,
					 key->name, name, rules->allowed->section);
	}
	return 0;
}

static int check_destinations(const struct request_rules *rules, const struct request *request, const char **field,
			      struct error *err)
{
	*field = "to_destinations";
	int r = check_names(rules, request->key, *field, request->destinations, request->destination_count, err);
	if (r == 0) {
		*field = "first_of";
		r = check_names(rules, request->key, *field, request->first_of, request->first_of_count, err);
	}
	return r;
}

/* --- interfaces --- */

static int check_interface(const struct interface_rules *rules, const char *interface, const char *section,
			   const struct config_key *key, struct error *err)
{
	struct engine_target target = {0};

	if (strcmp(interface, ANY) == 0 || interface_rules_list(rules, interface))
		return 0;
	targets_look_up(interface, rules->engine, &target); /* what does not exist is no listed device either */
	if (!interface_rule_allows(rules, &rules->origin, interface, &target))
		return error_set(err, -EACCES, "interface: a request may not capture on \"%s\" (%s.interfaces)",
				 interface, section);
	if (!interface_rule_allows(rules, &rules->key, interface, &target))
		return error_set(err, -EACCES, "interface: the key \"%s\" may not capture on \"%s\" (%s.keys_file)",
				 key->name, interface, section);
	return 0;
}

static int check_interfaces(const struct request_rules *rules, const struct request *request, struct error *err)
{
	struct interface_rules interfaces;
	int r = 0;

	interface_rules_init(&interfaces, rules->engine, rules->allowed, request->key);
	for (size_t i = 0; r == 0 && i < request->interface_count; i++)
		r = check_interface(&interfaces, request->interfaces[i].name, rules->allowed->section, request->key,
				    err);
	interface_rules_deinit(&interfaces);
	return r;
}

/* Keys that were read again are others, but have the same names. */
static bool is_same_key(const struct config_key *a, const struct config_key *b)
{
	return a == b || (a && b && strcmp(a->name, b->name) == 0);
}

bool request_rules_allow_stop(const struct request_rules *rules, const struct config_key *key,
			      const struct request *other)
{
	const struct config_requests *allowed = rules->allowed;
	const bool all = !allowed->interfaces.count && (!key || !key->interfaces.count);
	struct interface_rules interfaces;
	struct error ignored;
	bool may = true;

	if (all || (other->allowed == allowed && is_same_key(other->key, key)))
		return true;
	interface_rules_init(&interfaces, rules->engine, allowed, key);
	for (size_t i = 0; may && i < other->interface_count; i++) {
		const char *interface = other->interfaces[i].name;

		may = strcmp(interface, ANY) != 0 &&
		      check_interface(&interfaces, interface, allowed->section, key, &ignored) == 0;
	}
	interface_rules_deinit(&interfaces);
	return may;
}

/* --- the others --- */

static int check_reach(const struct config_requests *allowed, uint64_t reach_ns, const char *field, struct error *err)
{
	if (allowed->maxbefore_ns >= CONFIG_MAXBEFORE_NONE || reach_ns <= allowed->maxbefore_ns)
		return 0;
	return error_set(err, -EACCES, "%s: a request may reach back at most %.12g s (%s.maxbefore)", field,
			 (double)allowed->maxbefore_ns / NS_PER_S, allowed->section);
}

/* How far the request reaches back, from when it was sent. */
static uint64_t reach_of(const struct request *request)
{
	const uint64_t sent_ns = request->published_ns ? request->published_ns : request->received_ns;

	if (request->before_ns || !request->from_ns)
		return request->before_ns;
	return request->from_ns < sent_ns ? sent_ns - request->from_ns : 0;
}

static int check_debug(const struct request_rules *rules, const struct request *request, const char **field,
		       struct error *err)
{
	const struct config *config = rules->config;

	*field = NULL;
	if (!rules->allowed->allow_debug && request->packetdebug && !config->general.packetdebug)
		*field = "packetdebug";
	else if (!rules->allowed->allow_debug && request->logrequest && !config->general.logrequests)
		*field = "logrequest";
	return *field ? error_set(err, -EACCES, "%s: a request may not set it (%s.allow_debug)", *field,
				  rules->allowed->section)
		      : 0;
}

int request_rules_check(const struct request_rules *rules, const struct request *request, const char **field,
			struct error *err)
{
	const struct config_requests *allowed = rules->allowed;

	int r = check_destinations(rules, request, field, err);
	if (r == 0) {
		*field = "interface";
		r = check_interfaces(rules, request, err);
	}
	if (r == 0) {
		*field = request->before_ns ? "before" : "from";
		r = check_reach(allowed, reach_of(request), *field, err);
	}
	return r == 0 ? check_debug(rules, request, field, err) : r;
}

int request_rules_check_history(const struct config_requests *allowed, struct engine *engine,
				struct history_stream_spec *spec, struct error *err)
{
	struct interface_rules interfaces;
	const uint64_t now_ns = clock_realtime_ns();
	const uint64_t reach_ns = spec->from_ns < now_ns ? now_ns - spec->from_ns : 0;

	interface_rules_init(&interfaces, engine, allowed, NULL);
	int r = check_interface(&interfaces, spec->interface, allowed->section, NULL, err);
	interface_rules_deinit(&interfaces);
	if (r == 0 && !spec->from_given && allowed->maxbefore_ns < CONFIG_MAXBEFORE_NONE)
		spec->from_ns = reach_ns > allowed->maxbefore_ns ? now_ns - allowed->maxbefore_ns : spec->from_ns;
	else if (r == 0)
		r = check_reach(allowed, reach_ns, "from", err);
	spec->required = *allowed->filter ? allowed->filter : NULL;
	spec->no_names = allowed->resolve ? NULL : allowed->resolve_rule;
	return r;
}
