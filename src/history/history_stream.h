/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The history stream: a recorder's history as one pcapng file, read piece by piece, with no job, event or destination.
 * Each piece is a consumer of its own that continues where the last one ended, so the file may be far larger than what
 * fits into memory. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/engine.h"

struct config;
struct offload;
struct history_stream;

#define HISTORY_STREAM_PIECE_BYTES (8u << 20) /* bytes of packets in memory at once */

struct history_stream_spec {
	const char *interface;
	const char *bpf, *inner; /* filters, as a request's; NULL: none */
	const char *required;	 /* what they must match as well, the configuration's; NULL: nothing */
	const char *no_names;	 /* the rule that forbids host names in them; NULL: none */
	uint32_t snaplen;	 /* bytes */
	uint64_t from_ns, to_ns; /* real time; to_ns at most now */
	bool from_given;	 /* false: as far back as there is */
	uint64_t packets, bytes; /* limits; 0: none */
	bool pcap;		 /* the classic format instead of pcapng */
};

enum history_stream_state {
	HISTORY_STREAM_WAITING, /* for packets: `changed` follows */
	HISTORY_STREAM_READY,	/* bytes can be read */
	HISTORY_STREAM_ENDED,	/* the file is read */
	HISTORY_STREAM_FAILED,	/* see history_stream_error */
};

struct history_stream_deps {
	const struct config *config;
	struct engine *engine;
	struct offload *arming, *name_lookup;
	void (*freed)(void *ctx); /* the last call: the stream and all it held are freed */
	void *freed_ctx;
};

struct history_stream_reader {
	void (*changed)(void *ctx); /* the state changed; from the loop */
	void *ctx;
};

/* Copies texts; `target` is what spec->interface means. 0 (the state is HISTORY_STREAM_WAITING),
 * -ENOBUFS, -EAGAIN or -ENOMEM. */
warn_unused int history_stream_start(const struct history_stream_deps *deps, const struct history_stream_spec *spec,
				     const struct engine_target *target, struct history_stream_reader reader,
				     struct history_stream **stream);

/* The reader gets no more calls; the stream is freed once no thread uses it. */
void history_stream_free(struct history_stream *stream);

enum history_stream_state history_stream_state(const struct history_stream *stream);

/* A file name like a capture's, with "history" for its id; valid once bytes can be read, as long as the stream. */
const char *history_stream_name(const struct history_stream *stream);

/* Returns bytes put into `into`; 0: none now, see the state. May start the next piece. */
size_t history_stream_read(struct history_stream *stream, uint8_t *into, size_t room);

/* The cause of failure as a negative errno. */
int history_stream_error_code(const struct history_stream *stream);

/* The cause of failure, and the parameter at fault; NULL: none. */
const char *history_stream_error(const struct history_stream *stream, const char **field);

CLEANUP_DEFINE(history_stream, struct history_stream, history_stream_free)
