/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * {flow}: a filter for the alert's own conversation, from the fields in which Suricata, Zeek, Falco, Wazuh and the
 * Elastic Common Schema have it. Pure; any thread.
 */
#pragma once

#include <jansson.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

/*
 * Appends, in parentheses: the protocol, both hosts, and both ports where the protocol has them; VLAN-tagged or not.
 * -ENOENT: a part is missing, or -EINVAL: it is no address, port or protocol; `why` names it. Else what
 * buffer_append() returns.
 */
warn_unused int alert_flow_append(const json_t *alert, struct buffer *out, struct error *why);
