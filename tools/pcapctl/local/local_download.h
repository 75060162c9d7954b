/* SPDX-License-Identifier: BSD-2-Clause */
/* A capture's file out of the daemon's memory. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

struct local_client;
struct pcapng_probe;

struct local_download_request {
	const char *path;	    /* "/v1/…" */
	const char *to;		    /* atomic_file_new's meaning; NULL: the server's name in the current directory */
	struct pcapng_probe *probe; /* takes what passes by, too; NULL: nobody looks */
};

/*
 * GET the file's path into its place. `*name` (caller
 * frees) is what was written. 0, -EINTR after Ctrl-C, -EINVAL if the daemon refused, or -errno; with
 * the text in `err`.
 */
warn_unused int local_download(struct local_client *client, const struct local_download_request *wanted, char **name,
			       struct error *err);
