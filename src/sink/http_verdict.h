/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server's answer, or the lack of one, means for an upload. Pure; any thread. */
#pragma once

#include "sink/sink.h"

struct http_reply;

/*
 * The same rules for every sink. Retried: no connection, time-outs, 408, 429, 5xx. Final: all other failures, among
 * them redirects and certificates that do not verify: neither goes away by itself, and a retry might hand data to the
 * wrong server.
 */
enum sink_verdict http_verdict(const struct http_reply *reply);
