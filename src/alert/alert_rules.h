/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of rules, read from TOML: [[rule]] in the order of the text. Reading is strict; faults name file, line, column
 * and key.
 */
#pragma once

#include <stddef.h>

#include "alert/alert_rule.h"
#include "base/buffer.h"
#include "base/cleanup.h"

#define ALERT_RULES_MAX 1000
#define ALERT_FAULTS_MAX 64 /* reported at once */

struct alert_rules {
	struct alert_rule **items;
	size_t count;
};

/*
 * Appends the rules of one document to the set. `file`: its name in faults. -EINVAL: `faults` got a line for each, and
 * the set is as before; -ENOMEM.
 */
warn_unused int alert_rules_read(struct alert_rules *rules, const char *file, const char *text, size_t size,
				 struct buffer *faults);

void alert_rules_clear(struct alert_rules *rules);
