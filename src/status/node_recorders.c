/* SPDX-License-Identifier: BSD-2-Clause */
/* A setting's device is recorded if a recorder's ring has the device's name and its device is not gone. */
#include "status/node_recorders.h"

#include <errno.h>
#include <string.h>

#include "base/network_interface.h"
#include "capture/engine.h"
#include "config/config.h"

static bool is_recorded(const char *name, const struct engine_interface *rings, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (rings[i].recorder && !rings[i].gone && strcmp(rings[i].name, name) == 0)
			return true;
	}
	return false;
}

struct node_recorder *node_recorders_list(const struct config *config, const struct engine_interface *rings,
					  size_t ring_count)
{
	const struct config_strings *settings = &config->history.interfaces;
	struct node_recorder *recorders = calloc(settings->count + 1, sizeof(*recorders));

	for (size_t i = 0; recorders && i < settings->count; i++) {
		struct network_interface device;
		const int r = network_interface_find(settings->items[i], &device);

		recorders[i].setting = settings->items[i];
		recorders[i].away = r == -ENODEV;
		recorders[i].up = r == 0 && is_recorded(device.name, rings, ring_count);
	}
	return recorders;
}
