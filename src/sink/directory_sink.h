/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: a local directory. Written on an offload pool under a temporary name (".<name>.part"), fsynced, then linked to
 * its final name, which is never overwritten (a number is put before the extension instead). No partial file is left
 * behind.
 */
#pragma once

struct event_base;
struct sink;

/* `path` is copied. NULL on ENOMEM. */
struct sink *directory_sink_new(struct event_base *loop, const char *path);
