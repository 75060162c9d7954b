/* SPDX-License-Identifier: BSD-2-Clause */
/* The recorders of an engine. Internal to the engine. */
#pragma once

#include <stdbool.h>

struct engine;

/* With the lock, given up meanwhile: something about recorders to do (open, bind again, own traffic)? True if something
 * was done. */
bool recorder_run_maintenance(struct engine *engine);

/* With control_lock and the lock, which is given up meanwhile: binds a recorder of this name whose interface was away.
 */
void recorder_bind(struct engine *engine, const char *interface);

/* With the lock: an interface has appeared, gone, changed. */
void recorder_interfaces_changed(struct engine *engine);
