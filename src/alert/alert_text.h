/* SPDX-License-Identifier: BSD-2-Clause */
/* Alerts that come as text: key=value pairs, syslog, SNMP traps. For alert_format.c. Each returns 0, -EINVAL with the
 * fault, or -ENOMEM, and fills `alert`, an empty object. The text is valid UTF-8 without NUL. */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"
#include "base/error.h"

warn_unused int alert_text_read_pairs(const char *text, json_t *alert, struct error *err);

/* facility, severity, host, app, procid, msgid, timestamp, message, data (structured data by its id); and of the
 * message `json` if it is a JSON object (also after "@cee:"), or `kv` with its key=value words, if there are any. */
warn_unused int alert_text_read_syslog(const char *text, json_t *alert, struct error *err);

/* host (if it has a name), address, oid (of the trap), variables by their OID. OIDs have no leading dot; they are names
 * where snmptrapd has MIBs and no -On. */
warn_unused int alert_text_read_trap(const char *text, json_t *alert, struct error *err);
