/* SPDX-License-Identifier: BSD-2-Clause */
/* Names stand for themselves, "any" for all interfaces that are up; each interface counts once. */
#include "job/targets.h"

#include <errno.h>
#include <string.h>

#include "capture/engine.h"
#include "config/config.h"
#include "job/request_rules.h"

static void add_target(struct targets *targets, const char *name, char *alias)
{
	for (size_t i = 0; i < targets->count; i++) {
		if (strcmp(targets->items[i].name, name) == 0)
			return;
	}
	if (targets->count < REQUEST_INTERFACES_MAX)
		targets->items[targets->count++] = (struct capture_target){name, alias};
}

static int add_all_up(const struct request *request, char *alias, const struct config_requests *allowed,
		      struct targets *targets, struct error *err)
{
	const size_t before = targets->count;

	interface_list_deinit(&targets->up);
	int r = interface_list_read(true, &targets->up);
	if (r < 0)
		return error_set(err, r, "listing interfaces: %s", strerror(-r));
	if (!targets->up.count)
		return error_set(err, -ENODEV, "no interface of this host is up");
	if (targets->up.count > REQUEST_INTERFACES_MAX)
		return error_set(err, -E2BIG, "%zu interfaces are up; the limit per request is %d", targets->up.count,
				 REQUEST_INTERFACES_MAX);
	for (size_t i = 0; i < targets->up.count; i++)
		if (request_rules_allow_interface(allowed, request->key, targets->up.names[i]))
			add_target(targets, targets->up.names[i], alias);
	if (targets->count == before && !before)
		return error_set(err, -EACCES, "interface: none that is up may be captured on (%s.interfaces)",
				 allowed->section);
	return 0;
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

int targets_check(const char *interface, struct engine *engine, struct error *err)
{
	const int r = interface_check(interface);
	if (r == 0 || engine_records(engine, interface))
		return 0;
	return r == -ENODEV ? unknown_interface(interface, err)
			    : error_set(err, r, "interface %s: %s", interface, strerror(-r));
}

int targets_find(const struct request *request, const struct config_requests *allowed, struct engine *engine,
		 struct targets *targets, struct error *err)
{
	for (size_t i = 0; i < request->interface_count; i++) {
		const struct request_interface *wanted = &request->interfaces[i];
		int r = 0;

		if (strcmp(wanted->name, "any") == 0)
			r = add_all_up(request, wanted->alias, allowed, targets, err);
		else
			r = targets_check(wanted->name, engine, err);
		if (r == 0 && strcmp(wanted->name, "any") != 0)
			add_target(targets, wanted->name, wanted->alias);
		if (r < 0)
			return r;
	}
	return 0;
}

void targets_deinit(struct targets *targets)
{
	interface_list_deinit(&targets->up);
}
