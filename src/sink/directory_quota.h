/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a directory may hold of this node's files: how many bytes, how old, and how much of the filesystem stays free.
 * Part of the directory sink. All calls may block; any thread.
 *
 * A file is this node's if it is a regular file of our user whose name begins with the node's and has the time stamp
 * and extension that all captures have (pcapng/capture_file.h). Nothing else is counted or removed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct directory_quota;

struct directory_quota_options {
	const char *name_prefix; /* of this node's files: its name, made safe, and "-" */
	uint64_t max_bytes;	 /* 0: no limit */
	uint64_t max_age_ns;	 /* 0: never removed */
	unsigned min_free;	 /* percent of the filesystem; 0: no limit */
};

/* Copies the options. NULL on ENOMEM. */
struct directory_quota *directory_quota_new(const struct directory_quota_options *options);
void directory_quota_free(struct directory_quota *quota);

/*
 * Reserves room for a file. 0; -EDQUOT with `err` if a limit does not allow it; or another -errno: unknown, carry on.
 * Every 0 is followed by one directory_quota_settle, which says whether the file is there now.
 */
warn_unused int directory_quota_reserve(struct directory_quota *quota, int directory_fd, uint64_t size_bytes,
					struct error *err);
void directory_quota_settle(struct directory_quota *quota, uint64_t size_bytes, bool written);

/* Removes what is older than max_age, and logs how much. */
void directory_quota_expire(struct directory_quota *quota, int directory_fd);

/* Removes temporary files of processes that have ended (directory_sink.c), and logs each. */
void directory_quota_remove_orphans(const struct directory_quota *quota, int directory_fd);

/* Marks an open temporary file as that of a living process. 0, or a negative errno: another process removes it. */
warn_unused int directory_quota_claim(int fd);

CLEANUP_DEFINE(directory_quota, struct directory_quota, directory_quota_free)
