/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: a local directory. An offload pool writes the file under a temporary name (".<name>.part"), flushes it, and
 * links it to its final name, which never overwrites a file (a number goes before the extension instead). No partial
 * file remains. A file that the quota does not allow is refused.
 */
#pragma once

struct directory_quota_options;
struct event_base;
struct sink;

/* All is copied. NULL on ENOMEM. */
struct sink *directory_sink_new(struct event_base *loop, const char *name, const char *path,
				const struct directory_quota_options *quota);
