/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What pcapdaemon itself writes: requests, events and its lines in syslog. No rule may see these, since a rule's
 * request, its events and its log lines could match the rule again. Pure; any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* `tag`: of our lines in syslog. */
bool alert_is_own(const json_t *alert, const char *tag);
