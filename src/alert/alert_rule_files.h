/* SPDX-License-Identifier: BSD-2-Clause */
/* The files that hold a set of rules: those that a pattern (glob(7)) matches, in the order of their names. Blocks. */
#pragma once

#include <stdint.h>

#include "alert/alert_rules.h"

#define ALERT_FILES_MAX 256

/* Changes when a file comes, goes, or is written; 0: the pattern matches none. */
uint64_t alert_rule_files_stamp(const char *pattern);

/* Adds the rules of all of them to a set, those of faulty files left out. Results as below; a pattern that matches none
 * is fine. */
warn_unused int alert_rule_files_add(const char *pattern, struct alert_rules *rules, struct buffer *faults);

/* Reads all of them into an empty set. 0; -EINVAL: `faults` got a line for each fault of any file, and the set is
 * empty; -ENOMEM. */
warn_unused int alert_rule_files_read(const char *pattern, struct alert_rules *rules, struct buffer *faults);
