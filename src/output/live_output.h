/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A running capture as a file that is read while its packets come (GET /v1/live). Packets wait for the reader in a
 * budget of their own: what exceeds it is dropped and counted, so a slow reader holds neither a ring nor the capture.
 *
 * It has two holders. The reader makes it, reads it and closes it; the capture's owner fills it, ends it and learns
 * when it is closed. Each drops its reference itself. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/packet.h"

struct budget;
struct consumer_report;
struct engine;
struct live_output;
struct request;
struct store;

#define LIVE_OUTPUT_BYTES (16u << 20)	   /* packets waiting for the reader */
#define LIVE_OUTPUT_PART_BYTES (64u << 10) /* and this much more for each interface */
#define LIVE_OUTPUT_ORDER_MS 250	   /* packets of several interfaces wait this long for earlier ones */

enum live_output_state {
	LIVE_OUTPUT_WAITING, /* for packets: `changed` follows, or with several interfaces time has to pass */
	LIVE_OUTPUT_READY,   /* bytes can be read */
	LIVE_OUTPUT_ENDED,   /* the file is read */
	LIVE_OUTPUT_FAILED,  /* out of memory; what was read is no whole file */
};

/* --- the reader --- */

/* `changed`: there may be something to read. With one reference, the reader's. NULL on ENOMEM. */
struct live_output *live_output_new(void (*changed)(void *ctx), void *ctx);

/* Once it has begun; until it is freed. */
const char *live_output_name(const struct live_output *output);
bool live_output_is_pcap(const struct live_output *output);

/* Returns bytes put into `into`; 0: none now, see the state. */
size_t live_output_read(struct live_output *output, uint8_t *into, size_t room);
enum live_output_state live_output_state(const struct live_output *output);

/* The reader has read the file or gives up. Tells the owner; drops the reader's reference and all packets. */
void live_output_close(struct live_output *output);

/* --- the capture's owner --- */

struct live_output_owner {
	/* The reader has closed it; `whole`: after the end of the file. Never within a call of the owner's. */
	void (*closed)(void *ctx, bool whole);
	void *ctx;
};

/* Takes a reference. `budget_bytes` of packets may wait for the reader. Of the packets at most the request's `packets`
 * and `bytes` are delivered. False: out of memory. */
warn_unused bool live_output_attach(struct live_output *output, struct engine *engine, size_t budget_bytes,
				    size_t parts, const struct request *request, struct live_output_owner owner);
void live_output_detach(struct live_output *output); /* drops the reference, and all packets */
bool live_output_is_closed(const struct live_output *output);

/* What packets are charged to. */
struct budget *live_output_budget(struct live_output *output);

/* Takes the part's packets, also before it begins. If memory is out or the reader is gone they are dropped. */
void live_output_add(struct live_output *output, size_t part, struct store *packets);

struct live_output_part {
	size_t part;
	const char *interface;
	const struct consumer_report *report; /* so far */
};

struct live_output_options {
	const struct request *request;
	const char *node, *interface, *tags; /* interface: for the file's name */
	const char *file_id;		     /* in the file's name; NULL: the request's id */
	const char *skipped;		     /* interfaces left out, and why; NULL: none */
	const struct live_output_part *parts;
	size_t part_count;
};

/* All interfaces are known: the file begins. 0 or -ENOMEM. */
warn_unused int live_output_begin(struct live_output *output, const struct live_output_options *options);

/* All packets have been added: the file ends with these reports, in the order of the options' parts. */
void live_output_end(struct live_output *output, const struct consumer_report *reports);

/* The reader: all that there was is read, and time has passed. A block with the interfaces' counts so far becomes
 * readable, in pcapng. False: nothing does. */
bool live_output_add_statistics(struct live_output *output);

/* Packets that the reader got, and packets for which there was no memory here. */
uint64_t live_output_packets(const struct live_output *output);
uint64_t live_output_bytes(const struct live_output *output);
uint64_t live_output_lost(const struct live_output *output);
