/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server's answer, or the lack of one, means for the file that was sent. Pure; any thread. */
#pragma once

#include "sink/sink.h"

struct http_reply;

/*
 * The same rules for every sink. A bad day: no connection, time-outs, 408, 429, 5xx. Final: anything else, among it a
 * redirect and a certificate that doesn't verify: neither goes away by itself, and trying again would hand data to
 * whoever answers.
 */
enum sink_verdict http_verdict(const struct http_reply *reply);
