/* SPDX-License-Identifier: BSD-2-Clause */
/* Any name of a device stands for it, "any" for all interfaces that are up; each device counts once. */
#include "job/targets.h"

#include <errno.h>
#include <string.h>

#include "capture/engine.h"
#include "config/config.h"
#include "job/interface_rules.h"

/* Unless it is one of the first `known`. False: there is no room. */
static bool add_target(struct targets *targets, size_t known, const struct engine_target *added, char *alias)
{
	for (size_t i = 0; i < known; i++) {
		const struct engine_target *target = &targets->items[i].on;

		if (target->ifindex == added->ifindex && target->source == added->source)
			return true;
	}
	if (targets->count == REQUEST_INTERFACES_MAX)
		return false;
	targets->items[targets->count++] = (struct capture_target){.on = *added, .alias = alias};
	return true;
}

static struct engine_target target_of(const struct network_interface *device, const struct interface_rules *rules)
{
	struct engine_target target = {.ifindex = device->index, .hardware = device->hardware};

	memcpy(target.name, device->name, sizeof(target.name));
	target.former = interface_rules_list(rules, target.name);
	return target;
}

/* One of the interfaces that are up, by its place in the list. */
static int add_up(struct targets *targets, size_t place, size_t known, const struct interface_rules *rules, char *alias)
{
	const char *name = targets->up.names[place];
	struct engine_target target = {.ifindex = (int)targets->up.indexes[place]};
	struct network_interface device;

	const int r = network_interface_read(target.ifindex, &device);
	if (r < 0 && r != -ENODEV)
		return r;
	if (r == 0)
		target = target_of(&device, rules);
	if (!interface_rules_allow(rules, r == 0 ? target.name : name, &target))
		return 0;
	if (r < 0)
		skipped_add(&targets->skipped, name, r, "");
	else if (!add_target(targets, known, &target, alias))
		skipped_add(&targets->skipped, target.name, -E2BIG, SKIPPED_LIMIT_TEXT);
	return 0;
}

static int add_all_up(char *alias, const struct config_requests *allowed, const struct interface_rules *rules,
		      struct targets *targets, struct error *err)
{
	const size_t before = targets->count; /* those of the list differ */

	interface_list_deinit(&targets->up);
	int r = interface_list_read(true, &targets->up);
	if (r < 0)
		return error_set(err, r, "listing interfaces: %s", strerror(-r));
	if (!targets->up.count)
		return error_set(err, -ENODEV, "no interface of this host is up");
	for (size_t i = 0; i < targets->up.count; i++) {
		r = add_up(targets, i, before, rules, alias);
		if (r < 0)
			return error_set(err, r, "interface %s: %s", targets->up.names[i], strerror(-r));
	}
	if (targets->count)
		return 0;
	if (targets->skipped.total)
		return error_set(err, -ENODEV, "no interface of this host is up");
	return error_set(err, -EACCES, "interface: none that is up may be captured on (%s.interfaces)",
			 allowed->section);
}

static int unknown_interface(const char *name, struct error *err)
{
	struct interface_list all = {0};
	const char *near = interface_list_read(false, &all) == 0 ? interface_list_suggest(&all, name) : NULL;

	error_set(err, -ENODEV, "interface: this host has no \"%s\"%s%s%s", name, near ? " (did you mean \"" : "",
		  near ? near : "", near ? "\"?)" : "");
	interface_list_deinit(&all);
	return -ENODEV;
}

int targets_look_up(const char *name, struct engine *engine, struct engine_target *target)
{
	struct network_interface device;

	const int r = network_interface_find(name, &device);
	if (r < 0)
		return engine_find_away(engine, name, target) ? 0 : r;
	*target = (struct engine_target){.ifindex = device.index, .hardware = device.hardware};
	memcpy(target->name, device.name, sizeof(target->name));
	return 0;
}

int targets_find_interface(const char *name, const struct interface_rules *rules, struct engine_target *target,
			   struct error *err)
{
	const int r = targets_look_up(name, rules->engine, target);

	if (r < 0)
		return r == -ENODEV ? unknown_interface(name, err)
				    : error_set(err, r, "interface %s: %s", name, strerror(-r));
	target->former = interface_rules_list(rules, target->name);
	if (!interface_rules_allow(rules, name,
				   target)) /* the name has another meaning since the request was checked */
		return error_set(err, -EACCES, "interface: a request may not capture on \"%s\"", name);
	return 0;
}

static int find(const struct request *request, const struct config_requests *allowed,
		const struct interface_rules *rules, struct targets *targets, struct error *err)
{
	for (size_t i = 0; i < request->interface_count; i++) {
		const struct request_interface *wanted = &request->interfaces[i];
		const bool any = strcmp(wanted->name, "any") == 0;
		struct engine_target target;
		const int r = any ? add_all_up(wanted->alias, allowed, rules, targets, err)
				  : targets_find_interface(wanted->name, rules, &target, err);

		if (r < 0)
			return r;
		if (!any && !add_target(targets, targets->count, &target, wanted->alias))
			skipped_add(&targets->skipped, target.name, -E2BIG, SKIPPED_LIMIT_TEXT);
	}
	return 0;
}

int targets_find(const struct request *request, const struct config_requests *allowed, struct engine *engine,
		 struct targets *targets, struct error *err)
{
	struct interface_rules rules;

	interface_rules_init(&rules, engine, allowed, request->key);
	const int r = find(request, allowed, &rules, targets, err);
	interface_rules_deinit(&rules);
	return r;
}

void targets_deinit(struct targets *targets)
{
	skipped_deinit(&targets->skipped);
	interface_list_deinit(&targets->up);
}
