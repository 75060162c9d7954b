/* SPDX-License-Identifier: BSD-2-Clause */
/* The recorders of an engine. Internal to the engine. */
#pragma once

#include <stdbool.h>

struct engine;

/* Does one pending task of the recorders: open, bind again, renew the own-traffic filter. True: did one. Called with
 * `control_lock` and `lock` held; releases and reacquires `lock`. */
bool recorder_run_maintenance(struct engine *engine);

/* Binds the recorder of this name whose interface was away, if there is one. Called with `control_lock` and `lock`
 * held; releases and reacquires `lock`. */
void recorder_bind(struct engine *engine, const char *interface);

/* Checks the interfaces of all recorders and sources after a change. Called with `lock` held. */
void recorder_interfaces_changed(struct engine *engine);
