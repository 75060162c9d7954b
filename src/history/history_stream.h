/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The history stream: what a recorder holds as one pcapng file, read piece by piece: no job, no event, no destination.
 * Each piece is a consumer of its own that goes on where the last one ended, so the whole may be far larger than what
 * may be held at once. Loop thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config;
struct engine;
struct offload;
struct history_stream;

#define HISTORY_STREAM_PIECE_BYTES (8u << 20) /* of packets in memory at once */

struct history_stream_spec {
	const char *interface;
	const char *bpf;	 /* NULL: every packet */
	uint32_t snaplen;	 /* bytes */
	uint64_t from_ns, to_ns; /* real time; to_ns at most now */
	uint64_t packets, bytes; /* stop after so many; 0: no limit */
};

enum history_stream_state {
	HISTORY_STREAM_WAITING, /* for packets: `changed` follows */
	HISTORY_STREAM_READY,	/* there are bytes to be read */
	HISTORY_STREAM_ENDED,	/* all is read */
	HISTORY_STREAM_FAILED,	/* it goes no further: history_stream_error says why */
};

struct history_stream_deps {
	const struct config *config;
	struct engine *engine;
	struct offload *arming, *name_lookup;
	void (*gone)(void *ctx); /* the stream and all it had are freed */
	void *gone_ctx;
};

struct history_stream_reader {
	void (*changed)(void *ctx); /* the state; from the loop */
	void *ctx;
};

/* Texts are copied. 0, -ENOBUFS, -EAGAIN, -ENOMEM. The state is HISTORY_STREAM_WAITING then. */
warn_unused int history_stream_start(const struct history_stream_deps *deps, const struct history_stream_spec *spec,
				     struct history_stream_reader reader, struct history_stream **stream);

/* The reader is not called any more; the stream goes as soon as its threads let go of it. */
void history_stream_free(struct history_stream *stream);

enum history_stream_state history_stream_state(const struct history_stream *stream);

/* Bytes put into `into`, 0: nothing to read right now; the state says why. May start the next piece. */
size_t history_stream_read(struct history_stream *stream, uint8_t *into, size_t room);

/* Why it failed, as a negative errno. */
int history_stream_error_code(const struct history_stream *stream);

/* Why it failed, and which parameter is to blame; NULL: none. */
const char *history_stream_error(const struct history_stream *stream, const char **field);

CLEANUP_DEFINE(history_stream, struct history_stream, history_stream_free)
