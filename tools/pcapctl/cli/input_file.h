/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that are given to pcapctl: a daemon's configuration, and any file as text. */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

struct config;

#define INPUT_FILE_MAX ((size_t)4 << 20) /* bytes */

/* The whole file, or standard input for "-". 0 or -errno with the text in `err`. `into` has its cap already. */
warn_unused int input_file_read(const char *path, struct buffer *into, struct error *err);

/* 0, or -EINVAL with the first fault in `err`. */
warn_unused int input_file_read_config(const char *path, struct config **config, struct error *err);
