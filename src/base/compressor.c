/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zstd (RFC 8878, with the content's size and a checksum in the frame) and gzip (RFC 1952) behind one interface.
 *
 * The default levels are those that keep up with a link: build/tests/probes/compression_bench measures them, and
 * ARCHITECTURE.md has the figures.
 */
#include "base/compressor.h"

#define ZLIB_CONST /* next_in points to const */
#include <errno.h>
#include <limits.h>
#include <zlib.h>
#include <zstd.h>

#define ZSTD_LEVEL 1
#define GZIP_LEVEL 1
#define GZIP_WINDOW (15 + 16) /* 32 KiB, with gzip's header and trailer */
#define GZIP_MEMORY 8	      /* zlib's default: 256 KiB */
#define WINDOW_LOG_MAX 20     /* zstd: 1 MiB, which bounds the memory of both sides */

struct compressor {
	enum compression kind;
	ZSTD_CCtx *zstd;
	z_stream gzip;
};

static bool init_zstd(struct compressor *compressor, int level, uint64_t size_bytes)
{
	ZSTD_CCtx *zstd = compressor->zstd = ZSTD_createCCtx();

	return zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, WINDOW_LOG_MAX)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1)) &&
	       !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(zstd, size_bytes));
}

struct compressor *compressor_new(enum compression kind, int level, uint64_t size_bytes)
{
	cleanup(cleanup_free) struct compressor *compressor = calloc(1, sizeof(*compressor));
	bool ready = false;

	if (!compressor)
		return NULL;
	compressor->kind = kind;
	if (kind == COMPRESSION_ZSTD)
		ready = init_zstd(compressor, level ? level : ZSTD_LEVEL, size_bytes);
	else if (kind == COMPRESSION_GZIP)
		ready = deflateInit2(&compressor->gzip, level ? level : GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW,
				     GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
	if (!ready)
		ZSTD_freeCCtx(compressor->zstd);
	return ready ? take(compressor) : NULL;
}

void compressor_free(struct compressor *compressor)
{
	if (!compressor)
		return;
	if (compressor->kind == COMPRESSION_GZIP)
		(void)deflateEnd(&compressor->gzip);
	ZSTD_freeCCtx(compressor->zstd);
	free(compressor);
}

static int run_zstd(struct compressor *compressor, struct compression_step *step, bool last)
{
	ZSTD_inBuffer in = {.src = step->in, .size = step->in_size};
	ZSTD_outBuffer out = {.dst = step->out, .size = step->out_room};
	const size_t left = ZSTD_compressStream2(compressor->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);

	if (ZSTD_isError(left))
		return -EIO;
	step->in += in.pos;
	step->in_size -= in.pos;
	step->out += out.pos;
	step->out_room -= out.pos;
	return step->in_size == 0 && (!last || left == 0);
}

static int run_gzip(struct compressor *compressor, struct compression_step *step, bool last)
{
	z_stream *gzip = &compressor->gzip;
	const uInt in_size = step->in_size < UINT_MAX ? (uInt)step->in_size : UINT_MAX;
	const uInt out_room = step->out_room < UINT_MAX ? (uInt)step->out_room : UINT_MAX;

	gzip->next_in = step->in;
	gzip->avail_in = in_size;
	gzip->next_out = step->out;
	gzip->avail_out = out_room;
	const int r = deflate(gzip, last && in_size == step->in_size ? Z_FINISH : Z_NO_FLUSH);
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return -EIO;
	step->in += in_size - gzip->avail_in;
	step->in_size -= in_size - gzip->avail_in;
	step->out += out_room - gzip->avail_out;
	step->out_room -= out_room - gzip->avail_out;
	return step->in_size == 0 && (last ? r == Z_STREAM_END : gzip->avail_out > 0);
}

int compressor_run(struct compressor *compressor, struct compression_step *step, bool last)
{
	return compressor->kind == COMPRESSION_ZSTD ? run_zstd(compressor, step, last)
						    : run_gzip(compressor, step, last);
}

/* Both formats store what does not shrink: zstd in blocks of 128 KiB, deflate in blocks of 16 KiB at least. */
uint64_t compressor_bound(enum compression kind, uint64_t size_bytes)
{
	const uint64_t block = kind == COMPRESSION_ZSTD ? 128 << 10 : 16 << 10;

	return size_bytes + (size_bytes / block + 1) * 16 + 512;
}
