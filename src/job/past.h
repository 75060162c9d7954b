/*
 * Packets of the past as the bytes of a pcapng file, read piece by piece: no job, no event, no destination. Each piece
 * is a capture of its own that goes on where the last one ended, so the whole may be far larger than what may be held
 * at once. Loop thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct config;
struct engine;
struct offload;
struct past;

#define PAST_PIECE_BYTES (8u << 20) /* of packets in memory at once */

struct past_spec {
	const char *interface;
	const char *bpf;	 /* NULL: every packet */
	uint32_t snaplen;	 /* bytes */
	uint64_t from_ns, to_ns; /* real time; to_ns at most now */
	uint64_t packets, bytes; /* stop after so many; 0: no limit */
};

enum past_state {
	PAST_WAITING, /* for packets: `changed` follows */
	PAST_READY,   /* there are bytes to be read */
	PAST_ENDED,   /* all is read */
	PAST_FAILED,  /* it goes no further: past_error says why */
};

struct past_surroundings {
	const struct config *config;
	struct engine *engine;
	struct offload *arming, *name_lookup;
	void (*gone)(void *ctx); /* the past and all it had are freed */
	void *gone_ctx;
};

struct past_reader {
	void (*changed)(void *ctx); /* the state; from the loop */
	void *ctx;
};

/* Texts are copied. 0, -ENOBUFS, -EAGAIN, -ENOMEM. The state is PAST_WAITING then. */
warn_unused int past_start(const struct past_surroundings *surroundings, const struct past_spec *spec,
			   struct past_reader reader, struct past **past);

/* The reader is not called any more; the past goes as soon as its threads let go of it. */
void past_free(struct past *past);

enum past_state past_state(const struct past *past);

/* Bytes put into `into`, 0: nothing to read right now; the state says why. May start the next piece. */
size_t past_read(struct past *past, uint8_t *into, size_t room);

/* Why it failed, as a negative errno. */
int past_code(const struct past *past);

/* Why it failed, and which parameter is to blame; NULL: none. */
const char *past_error(const struct past *past, const char **field);

CLEANUP_DEFINE(past, struct past, past_free)
