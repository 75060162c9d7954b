/* SPDX-License-Identifier: BSD-2-Clause */
/* What a script learns from pcapctl's end; documented in pcapctl(1). */
#pragma once

enum exit_status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,   /* wrong command line; `check`: the file is wrong */
	STATUS_PARTIAL = 3, /* some of what was asked for is missing: a node, an interface, a destination */
	STATUS_EMPTY = 4,   /* all went well, and no packet was captured, or is in the past */
	STATUS_INTERRUPTED = 130,
};
