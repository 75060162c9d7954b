/* SPDX-License-Identifier: BSD-2-Clause */
/* Any name of a device stands for it, "any" for all interfaces that are up; each device counts once. */
#include "job/targets.h"

#include <errno.h>
#include <string.h>

#include "capture/engine.h"
#include "config/config.h"
#include "job/request_rules.h"

/* Unless it is one of the first `known`. */
static void add_target(struct targets *targets, size_t known, const struct network_interface *device, char *alias)
{
	for (size_t i = 0; i < known; i++) {
		const struct capture_target *target = &targets->items[i];

		if (target->ifindex == device->index && (device->index || strcmp(target->name, device->name) == 0))
			return;
	}
	if (targets->count == REQUEST_INTERFACES_MAX)
		return;
	struct capture_target *target = &targets->items[targets->count++];
	*target = (struct capture_target){.alias = alias, .ifindex = device->index};
	memcpy(target->name, device->name, sizeof(target->name));
}

static int add_all_up(const struct request *request, char *alias, const struct config_requests *allowed,
		      struct targets *targets, struct error *err)
{
	const size_t before = targets->count; /* those of the list differ */

	interface_list_deinit(&targets->up);
	int r = interface_list_read(true, &targets->up);
	if (r < 0)
		return error_set(err, r, "listing interfaces: %s", strerror(-r));
	if (!targets->up.count)
		return error_set(err, -ENODEV, "no interface of this host is up");
	if (targets->up.count > REQUEST_INTERFACES_MAX)
		return error_set(err, -E2BIG, "%zu interfaces are up; the limit per request is %d", targets->up.count,
				 REQUEST_INTERFACES_MAX);
	for (size_t i = 0; i < targets->up.count; i++) {
		struct network_interface device;

		r = network_interface_read((int)targets->up.indexes[i], &device);
		if (r == 0 && request_rules_allow_interface(allowed, request->key, device.name))
			add_target(targets, before, &device, alias);
		else if (r == -ENODEV && request_rules_allow_interface(allowed, request->key, targets->up.names[i]))
			skipped_add(&targets->skipped, targets->up.names[i], r, "");
		else if (r < 0 && r != -ENODEV)
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

int targets_find_interface(const char *name, struct engine *engine, struct network_interface *device, struct error *err)
{
	const int r = network_interface_find(name, device);

	if (r == 0)
		return 0;
	*device = (struct network_interface){0};
	if (engine_records_away(engine, name, device->name))
		return 0;
	return r == -ENODEV ? unknown_interface(name, err) : error_set(err, r, "interface %s: %s", name, strerror(-r));
}

int targets_find(const struct request *request, const struct config_requests *allowed, struct engine *engine,
		 struct targets *targets, struct error *err)
{
	for (size_t i = 0; i < request->interface_count; i++) {
		const struct request_interface *wanted = &request->interfaces[i];
		const bool any = strcmp(wanted->name, "any") == 0;
		struct network_interface device;
		const int r = any ? add_all_up(request, wanted->alias, allowed, targets, err)
				  : targets_find_interface(wanted->name, engine, &device, err);

		if (r < 0)
			return r;
		if (!any)
			add_target(targets, targets->count, &device, wanted->alias);
	}
	return 0;
}

void targets_deinit(struct targets *targets)
{
	skipped_deinit(&targets->skipped);
	interface_list_deinit(&targets->up);
}
