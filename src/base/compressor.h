/* SPDX-License-Identifier: BSD-2-Clause */
/* Compresses a stream of known length, step by step. One thread at a time; never blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/compression.h"

struct compressor;

/*
 * `level`: 0: the default (compressor.c). `size_bytes`: of all input. At that level it takes at most 2 MiB of memory.
 * NULL on ENOMEM.
 */
struct compressor *compressor_new(enum compression kind, int level, uint64_t size_bytes);
void compressor_free(struct compressor *compressor);

/*
 * One step; `last`: no input follows. 1: all input is taken and, with `last`, all output put out; 0: more room is
 * needed; -EIO.
 */
warn_unused int compressor_run(struct compressor *compressor, struct compression_step *step, bool last);

/* The most bytes that so much input can become. */
uint64_t compressor_bound(enum compression kind, uint64_t size_bytes);

CLEANUP_DEFINE(compressor, struct compressor, compressor_free)
