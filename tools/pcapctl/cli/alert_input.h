/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An alert as programs hand it to a command: on standard input (snmptrapd, Wazuh's active responses), in a file whose
 * name is an argument (Wazuh's integrations), as arguments (Zabbix, Icinga), or in the environment (Nagios).
 */
#pragma once

#include "alert/alert_format.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

struct command_line;

/* The format that --format names; default: json. -EINVAL with the fault. */
warn_unused int alert_input_format(const struct command_line *line, enum alert_format *format, struct error *err);

/*
 * Appends the message. Arguments key=value and variables of `environment` (environ(7)) become pairs with quoted values;
 * bytes in them that are no UTF-8 become U+FFFD. A variable that is empty is left out: Nagios exports what it does not
 * have as empty. -EINVAL: wrong usage; else -errno; with the text in `err`. Blocks.
 */
warn_unused int alert_input_read(const struct command_line *line, enum alert_format format,
				 const char *const *environment, struct buffer *message, struct error *err);
