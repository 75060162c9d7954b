/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of `capture --expect`: names of nodes, one a line. */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Reads the file ("-": standard input) as an array of strings, the caller's. 0 or -errno with the text in `err`. */
warn_unused int fleet_expect_read(const char *path, json_t **names, struct error *err);
