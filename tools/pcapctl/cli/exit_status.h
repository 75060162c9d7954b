/* SPDX-License-Identifier: BSD-2-Clause */
/* pcapctl's exit statuses, documented in pcapctl(1). */
#pragma once

enum exit_status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,   /* wrong usage; `check`: the file has errors */
	STATUS_PARTIAL = 3, /* partial success: a node, an interface or a destination is missing */
	STATUS_EMPTY = 4,   /* success, but no packet was captured, or is in the requested history */
	STATUS_INTERRUPTED = 130,
};
