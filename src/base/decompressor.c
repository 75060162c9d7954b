/* SPDX-License-Identifier: BSD-2-Clause */
/* The window of a zstd frame, which its sender chooses, is limited: it is what a decoder must hold in memory. */
#include "base/decompressor.h"

#define ZLIB_CONST /* next_in points to const */
#include <errno.h>
#include <limits.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW (15 + 16) /* 32 KiB, with gzip's header and trailer */
#define WINDOW_LOG_MAX 23     /* zstd: 8 MiB, which every decoder should accept (RFC 8878, 3.1.1.1.2) */

struct decompressor {
	enum compression kind;
	bool complete;
	ZSTD_DCtx *zstd;
	z_stream gzip;
};

struct decompressor *decompressor_new(enum compression kind)
{
	cleanup(cleanup_free) struct decompressor *decompressor = calloc(1, sizeof(*decompressor));

	if (!decompressor)
		return NULL;
	decompressor->kind = kind;
	if (kind == COMPRESSION_GZIP)
		return inflateInit2(&decompressor->gzip, GZIP_WINDOW) == Z_OK ? take(decompressor) : NULL;
	decompressor->zstd = ZSTD_createDCtx();
	if (!decompressor->zstd)
		return NULL;
	ZSTD_DCtx_setParameter(decompressor->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	return take(decompressor);
}

void decompressor_free(struct decompressor *decompressor)
{
	if (!decompressor)
		return;
	if (decompressor->kind == COMPRESSION_GZIP)
		(void)inflateEnd(&decompressor->gzip);
	ZSTD_freeDCtx(decompressor->zstd);
	free(decompressor);
}

static int run_zstd(struct decompressor *decompressor, struct compression_step *step)
{
	ZSTD_inBuffer in = {.src = step->in, .size = step->in_size};
	ZSTD_outBuffer out = {.dst = step->out, .size = step->out_room};
	const size_t left = ZSTD_decompressStream(decompressor->zstd, &out, &in);

	if (ZSTD_isError(left))
		return -EPROTO;
	step->in += in.pos;
	step->in_size -= in.pos;
	step->out += out.pos;
	step->out_room -= out.pos;
	decompressor->complete = left == 0;
	return step->in_size == 0 && (left == 0 || step->out_room > 0);
}

static int run_gzip(struct decompressor *decompressor, struct compression_step *step)
{
	z_stream *gzip = &decompressor->gzip;
	const uInt in_size = step->in_size < UINT_MAX ? (uInt)step->in_size : UINT_MAX;
	const uInt out_room = step->out_room < UINT_MAX ? (uInt)step->out_room : UINT_MAX;

	gzip->next_in = step->in;
	gzip->avail_in = in_size;
	gzip->next_out = step->out;
	gzip->avail_out = out_room;
	const int r = inflate(gzip, Z_NO_FLUSH);
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return r == Z_MEM_ERROR ? -ENOMEM : -EPROTO;
	step->in += in_size - gzip->avail_in;
	step->in_size -= in_size - gzip->avail_in;
	step->out += out_room - gzip->avail_out;
	step->out_room -= out_room - gzip->avail_out;
	decompressor->complete = r == Z_STREAM_END;
	return step->in_size == 0 && (r == Z_STREAM_END || gzip->avail_out > 0);
}

int decompressor_run(struct decompressor *decompressor, struct compression_step *step)
{
	if (decompressor->complete)
		return step->in_size ? -EPROTO : 1;
	return decompressor->kind == COMPRESSION_GZIP ? run_gzip(decompressor, step) : run_zstd(decompressor, step);
}

bool decompressor_is_complete(const struct decompressor *decompressor)
{
	return decompressor->complete;
}
