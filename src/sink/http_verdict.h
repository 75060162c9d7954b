/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server's answer, or the lack of one, means for an upload. Pure; any thread. */
#pragma once

#include <stdbool.h>

#include "sink/sink.h"

struct http_reply;

/*
 * The same rules for every sink. Once the whole file was sent (`sent_whole`), a 2xx status settles it, even if the rest
 * of the answer never came: the file is there, and another attempt would only make a copy. Retried: a 2xx before the
 * whole file was sent, no connection, time-outs, 408, 429, 5xx. Final: all other failures, among them redirects and
 * certificates that do not verify: neither goes away by itself, and a retry might hand data to the wrong server.
 */
enum sink_verdict http_verdict(const struct http_reply *reply, bool sent_whole);
