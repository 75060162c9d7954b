/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads input files: a daemon's configuration, or any file as text. */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

struct config;

#define INPUT_FILE_MAX ((size_t)4 << 20) /* bytes */

/* Appends the whole file, or standard input for "-", to `into`, up to its cap. 0 or -errno with the text in `err`. */
warn_unused int input_file_read(const char *path, struct buffer *into, struct error *err);

/* The same, but stops before the end once `is_whole` (NULL: never) is true of what `into` holds. */
warn_unused int input_file_read_until(const char *path, bool (*is_whole)(const struct buffer *read),
				      struct buffer *into, struct error *err);

/* By config_load_text_for_client. 0 or -errno with the text in `err`: of an invalid file the first fault. */
warn_unused int input_file_read_config(const char *path, struct config **config, struct error *err);
