/* SPDX-License-Identifier: BSD-2-Clause */
/* The recorders of an engine. Internal to the engine. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct network_interface;
struct source;

/* Does one pending task of the recorders: check interfaces, bind again, renew the own-traffic filter. True: did one.
 * Called with `control_lock` and `lock` held; releases and reacquires `lock`. */
bool recorder_run_maintenance(struct engine *engine);

/* Opens or binds the recorder that this device should have, if there is to be one. Called with `control_lock` and
 * `lock` held; releases and reacquires `lock`. */
void recorder_prepare(struct engine *engine, const struct network_interface *interface);

/* The source that records this device. Called with `lock` held. */
struct source *recorder_find(const struct engine *engine, const struct network_interface *interface);

/* The recorder's source whose interface is away and had this name, or was configured by it; of several, the one that
 * left last. Called with `lock` held. */
struct source *recorder_find_away(const struct engine *engine, const char *name);

/* The recorder's source with this number; NULL: it is closed. Called with `lock` held. */
struct source *recorder_find_numbered(const struct engine *engine, uint64_t id);

/* The latest recorder's source of the device that has, or had, this index. Called with `lock` held. */
struct source *recorder_find_former(const struct engine *engine, int ifindex);

/* Interfaces of the host have changed: a worker checks all recorders and sources. Called with `lock` held. */
void recorder_interfaces_changed(struct engine *engine);
