/* SPDX-License-Identifier: BSD-2-Clause */
/* The lock is held while one piece is read and hashed, so that cancelling can take the stream and the memory away. What
 * is left of the fill is freed when its task comes back to the loop. */
#include "sink/s3/s3_fill.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "base/offload.h"

#define PIECE_BYTES ((size_t)64 * 1024)

struct s3_fill {
	struct offload_task task;
	pthread_mutex_t lock; /* guards the members below */
	bool cancelled;
	struct byte_stream stream;
	struct s3_bytes *into;
	size_t got;
	/* Loop thread. */
	s3_fill_done done;
	void *ctx;
};

/* Returns whether there is more to read. */
static bool read_piece(struct s3_fill *fill, EVP_MD_CTX *hash)
{
	size_t got = 0;

	pthread_mutex_lock(&fill->lock);
	if (!fill->cancelled) {
		const size_t left = fill->into->size - fill->got;

		got = fill->stream.read(fill->stream.ctx, fill->into->bytes + fill->got,
					left < PIECE_BYTES ? left : PIECE_BYTES);
		if (got && EVP_DigestUpdate(hash, fill->into->bytes + fill->got, got) != 1)
			got = 0;
		fill->got += got;
	}
	const bool more = got && fill->got < fill->into->size;
	pthread_mutex_unlock(&fill->lock);
	return more;
}

static void put_hash(struct s3_fill *fill, EVP_MD_CTX *hash)
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	unsigned size = 0;

	if (EVP_DigestFinal_ex(hash, digest, &size) != 1)
		fill->got = 0;
	aws_hex(digest, size, fill->into->hash);
	EVP_EncodeBlock((unsigned char *)fill->into->sum, digest, (int)size);
}

static void run(struct offload_task *task)
{
	struct s3_fill *fill = container_of(task, struct s3_fill, task);
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1) {
		while (read_piece(fill, hash))
			;
		pthread_mutex_lock(&fill->lock);
		if (!fill->cancelled)
			put_hash(fill, hash);
		pthread_mutex_unlock(&fill->lock);
	}
	EVP_MD_CTX_free(hash);
}

static void done(struct offload_task *task)
{
	struct s3_fill *fill = container_of(task, struct s3_fill, task);
	const bool cancelled = fill->cancelled;
	const s3_fill_done call = fill->done;
	const size_t got = fill->got;
	void *ctx = fill->ctx;

	pthread_mutex_destroy(&fill->lock);
	free(fill);
	if (!cancelled)
		call(ctx, got);
}

struct s3_fill *s3_fill_start(struct offload *threads, const struct byte_stream *stream, struct s3_bytes *into,
			      s3_fill_done call, void *ctx)
{
	struct s3_fill *fill = calloc(1, sizeof(*fill));

	if (!fill)
		return NULL;
	fill->task = (struct offload_task){.run = run, .done = done};
	fill->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	fill->stream = *stream;
	fill->into = into;
	fill->done = call;
	fill->ctx = ctx;
	if (offload_submit(threads, &fill->task) == 0)
		return fill;
	pthread_mutex_destroy(&fill->lock);
	free(fill);
	return NULL;
}

void s3_fill_cancel(struct s3_fill *fill)
{
	if (!fill)
		return;
	pthread_mutex_lock(&fill->lock);
	fill->cancelled = true;
	pthread_mutex_unlock(&fill->lock);
}
