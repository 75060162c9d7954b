/* SPDX-License-Identifier: BSD-2-Clause */
/* Decompresses a stream, step by step. One thread at a time; never blocks. The input need not be trusted. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/compression.h"

struct decompressor;

/* NULL on ENOMEM. */
struct decompressor *decompressor_new(enum compression kind);
void decompressor_free(struct decompressor *decompressor);

/*
 * One step. 1: all input is taken, and what it became is put out; 0: more room is needed; -EPROTO: the input is
 * damaged, or goes on after its end; -ENOMEM.
 */
warn_unused int decompressor_run(struct decompressor *decompressor, struct compression_step *step);

/* Whether the input has reached its end, and its checksum was right. */
bool decompressor_is_complete(const struct decompressor *decompressor);

CLEANUP_DEFINE(decompressor, struct decompressor, decompressor_free)
