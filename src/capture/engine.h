/*
 * The capture engine: one ring per interface, shared by every capture on it; one ring thread that does nothing per
 * packet; a few workers that move the captures' cursors along. Knows no request, file format or destination.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/cursor.h"

struct event_base;
struct engine;
struct capture;

struct engine_options {
	unsigned workers;    /* 0: as many as CPUs, at least 2, at most 4 */
	size_t memory_bytes; /* budget of all captured bytes */
};

#define ENGINE_CAPTURES_MAX 4096      /* at once, whatever the configuration says */
#define ENGINE_SOURCES_MAX 256	      /* open rings */
#define ENGINE_RINGS_BYTES (1u << 30) /* all rings opened on demand together */

/* `loop` delivers the ends of captures. NULL and `err` on failure. */
struct engine *engine_new(struct event_base *loop, const struct engine_options *options, struct error *err);

/* Loop thread. Ends threads and closes rings; every capture must have been freed. */
void engine_free(struct engine *engine);

size_t engine_memory_used(struct engine *engine); /* bytes of the budget; any thread */

struct capture_spec {
	const char *interface;
	bool promiscuous;
	const char *bpf; /* NULL: every packet */
	uint32_t snaplen;
	uint64_t max_packets, max_bytes;
	uint64_t duration_ns;
	enum capture_reason duration_reason;
	uint64_t idle_ns; /* 0: none */
};

/* Loop thread, once, when the capture has ended: it is the handler's to read and free. */
typedef void (*capture_done)(void *ctx, struct capture *capture);

/*
 * Compiles the filter, opens the interface's ring if it is not open, and starts: every matching packet from the return
 * of this call on is in. Any thread but the loop's: may block (kernel memory, name look-ups in filters). `done` may be
 * called before this returns. 0, -EINVAL (filter), -ENODEV, -EPERM, -ENOMEM, -ENOSPC (a cap), other -errno; `err` says
 * it, `*field` names the request field at fault.
 */
warn_unused int capture_start(struct engine *engine, const struct capture_spec *spec, capture_done done, void *ctx,
			      struct error *err, const char **field, struct capture **capture);

/* Ends it early with this reason, keeping what it has; `done` follows. Any thread; no effect on one that has ended. */
void capture_stop(struct capture *capture, enum capture_reason reason);

/* Loop thread, after `done`. */
void capture_free(struct capture *capture);

struct capture_report {
	enum capture_reason reason;
	uint64_t packets, bytes;
	uint64_t first_ns, last_ns;		/* real time of first and last packet; 0: none */
	uint64_t from_ns, to_ns, asked_from_ns; /* real time: the window that is covered, and the asked beginning */
	bool complete;
	uint64_t lost_kernel, lost_evicted, lost_memory; /* packets */
	uint64_t received; /* packets the interface's ring was offered during the capture, dropped ones included */
	uint16_t linktype;
	uint32_t snaplen;
};

/* Loop thread. While it runs only packets, bytes and from_ns are filled. */
void capture_report(const struct capture *capture, struct capture_report *report);

/* The packets, after `done`. */
const struct store *capture_store(const struct capture *capture);

const char *capture_reason_name(enum capture_reason reason);
