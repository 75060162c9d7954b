/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture filter (pcap-filter(7)) as a display filter (wireshark-filter(4)) that shows every packet the capture
 * filter takes. Pure; any thread.
 */
#pragma once

#include "base/cleanup.h"

/*
 * The caller frees. NULL: there is no display filter that surely hides none of the packets, other than one that shows
 * all; or the expression has parts that are not known here; or ENOMEM.
 */
warn_unused char *display_filter_from_capture(const char *capture_filter);
