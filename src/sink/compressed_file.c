/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pieces of a slab each, taken as the file grows. The last one that the largest result could need is smaller, so a
 * small file takes little; what it does not fill is given back at the end.
 */
#include "sink/compressed_file.h"

#include <errno.h>
#include <string.h>

#include "base/compressor.h"
#include "base/slab_pool.h"

struct compressed_file {
	struct compressed_file_options options;
	struct compressor *compressor; /* NULL: complete */
	uint64_t bound_bytes;	       /* of the largest result */
	uint64_t size_bytes;
	size_t last_bytes; /* the last piece's size once the file is complete; 0: as piece_bytes() says */
	size_t piece_count, pieces_taken;
	uint8_t *pieces[];
};

struct reader {
	const struct compressed_file *file;
	uint64_t at;
};

/* --- pieces --- */

static size_t piece_bytes(const struct compressed_file *file, size_t index)
{
	const uint64_t rest = file->bound_bytes - (uint64_t)index * SLAB_BYTES;

	return rest < SLAB_BYTES ? (size_t)rest : SLAB_BYTES;
}

static int take_piece(struct compressed_file *file)
{
	const struct compressed_file_account *account = &file->options.account;
	const size_t size = piece_bytes(file, file->pieces_taken);
	uint8_t *piece;

	if (!account->charge(account->ctx, size))
		return -ENOBUFS;
	piece = size == SLAB_BYTES ? slab_pool_take(file->options.slabs) : malloc(size);
	if (!piece) {
		account->give_back(account->ctx, size);
		return -ENOMEM;
	}
	file->pieces[file->pieces_taken++] = piece;
	return 0;
}

/* A slab stays whole; a smaller piece shrinks to what is in it. */
static void shrink_last_piece(struct compressed_file *file)
{
	const struct compressed_file_account *account = &file->options.account;
	const size_t index = file->pieces_taken - 1, size = piece_bytes(file, index);
	const size_t used = (size_t)(file->size_bytes - (uint64_t)index * SLAB_BYTES);
	uint8_t *shrunk;

	if (size == SLAB_BYTES || used == 0 || !(shrunk = realloc(file->pieces[index], used)))
		return;
	file->pieces[index] = shrunk;
	file->last_bytes = used;
	account->give_back(account->ctx, size - used);
}

static void free_pieces(struct compressed_file *file)
{
	const struct compressed_file_account *account = &file->options.account;

	for (size_t i = 0; i < file->pieces_taken; i++) {
		const size_t size = piece_bytes(file, i);

		if (size == SLAB_BYTES)
			slab_pool_give(file->options.slabs, file->pieces[i]);
		else
			free(file->pieces[i]);
		account->give_back(account->ctx,
				   i + 1 == file->pieces_taken && file->last_bytes ? file->last_bytes : size);
	}
}

/* --- the file --- */

struct compressed_file *compressed_file_new(const struct compressed_file_options *options, uint64_t source_bytes)
{
	const uint64_t bound = compressor_bound(options->kind, source_bytes);
	const size_t piece_count = (size_t)((bound + SLAB_BYTES - 1) / SLAB_BYTES);
	struct compressed_file *file = calloc(1, sizeof(*file) + piece_count * sizeof(*file->pieces));

	if (!file)
		return NULL;
	file->options = *options;
	file->bound_bytes = bound;
	file->piece_count = piece_count;
	file->compressor = compressor_new(options->kind, 0, source_bytes);
	if (!file->compressor) {
		compressed_file_free(file);
		return NULL;
	}
	return file;
}

void compressed_file_free(struct compressed_file *file)
{
	if (!file)
		return;
	compressor_free(file->compressor);
	free_pieces(file);
	free(file);
}

int compressed_file_add(struct compressed_file *file, const void *bytes, size_t size, bool last)
{
	struct compression_step step = {.in = bytes, .in_size = size};
	int r = 0;

	while (r == 0) {
		const size_t index = (size_t)(file->size_bytes / SLAB_BYTES);
		const size_t within = (size_t)(file->size_bytes % SLAB_BYTES);

		if (index == file->piece_count ||
		    (index + 1 == file->piece_count && within == piece_bytes(file, index)))
			return -EIO; /* more than the bound: the input is longer than it was to be */
		if (index == file->pieces_taken) {
			r = take_piece(file);
			if (r < 0)
				return r;
		}
		step.out = file->pieces[index] + within;
		step.out_room = piece_bytes(file, index) - within;
		const size_t room = step.out_room;
		r = compressor_run(file->compressor, &step, last);
		if (r >= 0)
			file->size_bytes += room - step.out_room;
	}
	if (r < 0)
		return r;
	if (last) {
		compressor_free(take(file->compressor));
		shrink_last_piece(file);
	}
	return 0;
}

uint64_t compressed_file_size(const struct compressed_file *file)
{
	return file->size_bytes;
}

/* --- reading --- */

static size_t read_file(void *ctx, uint8_t *into, size_t room)
{
	struct reader *reader = ctx;
	const struct compressed_file *file = reader->file;
	size_t done = 0;

	while (done < room && reader->at < file->size_bytes) {
		const size_t within = (size_t)(reader->at % SLAB_BYTES);
		const uint64_t left = file->size_bytes - reader->at;
		size_t size = SLAB_BYTES - within;

		size = size < left ? size : (size_t)left;
		size = size < room - done ? size : room - done;
		memcpy(into + done, file->pieces[reader->at / SLAB_BYTES] + within, size);
		reader->at += size;
		done += size;
	}
	return done;
}

static void rewind_file(void *ctx)
{
	struct reader *reader = ctx;

	reader->at = 0;
}

bool compressed_file_open(const struct compressed_file *file, struct byte_stream *stream)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return false;
	reader->file = file;
	*stream = (struct byte_stream){.size_bytes = file->size_bytes,
				       .read = read_file,
				       .rewind = rewind_file,
				       .ctx = reader};
	return true;
}

void compressed_file_close(struct byte_stream *stream)
{
	free(stream->ctx);
}
