/* A capture's file out of the daemon's memory. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

struct local_client;

/*
 * GET `path` into `to` (file_out_new's meaning; NULL: the server's name in the current directory). `*name` (caller
 * frees) is what was written. 0, -EINTR after Ctrl-C, -EINVAL if the daemon refused, or -errno; with
 * the text in `err`.
 */
warn_unused int local_download(struct local_client *client, const char *path, const char *to, char **name,
			       struct error *err);
