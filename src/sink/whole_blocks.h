/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the last whole block ends in the bytes of a pcapng file of this host's byte order, as they pass in pieces. A
 * file that ends there can be read without a complaint.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised before the first byte. */
struct whole_blocks {
	uint64_t end_bytes; /* of the whole blocks so far */
	uint64_t passed_bytes;
	uint32_t size; /* of the block that is passing; known once its header has passed */
	uint8_t header[8];
};

void whole_blocks_pass(struct whole_blocks *blocks, const uint8_t *bytes, size_t size);
