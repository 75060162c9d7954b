/* SPDX-License-Identifier: BSD-2-Clause */
/* Downloads a file from the control API. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

struct local_client;
struct live_units;
struct pcapng_probe;

struct local_download_request {
	const char *path;	    /* "/v1/…" */
	const char *to;		    /* as for atomic_file_new; NULL: the current directory, under the daemon's name */
	struct pcapng_probe *probe; /* sees the bytes, too; NULL: none */
	struct live_units *units;   /* likewise; counts the packets */
};

/*
 * Writes the answer to GET `path` to a file. `*name` (caller frees): the file's name. Blocks. 0, -EINTR after Ctrl-C,
 * -EINVAL if the daemon refused, or -errno; with the text in `err`.
 */
warn_unused int local_download(struct local_client *client, const struct local_download_request *request, char **name,
			       struct error *err);
