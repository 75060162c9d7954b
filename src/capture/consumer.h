/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A consumer: the engine's reader of one interface. It has a cursor on the interface's timeline, a filter, limits, and
 * the packets that it took.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/cursor.h"

struct consumer;
struct engine;
struct store;

/* Where on its interface's timeline a consumer has come to an end: another can go on there, as long as it is the same
 * recorder's. */
struct resume_point {
	uint64_t number; /* of the next packet */
	uint64_t dropped;
};

struct consumer_spec {
	const char *interface;
	bool promiscuous;
	const char *bpf; /* NULL: every packet */
	uint32_t snaplen;
	uint64_t max_packets, max_bytes;
	uint64_t before_ns; /* begin so long before now, as far as the recorder reaches */
	uint64_t from_real_ns,
		to_real_ns;   /* real time; an absolute window instead of before and duration; 0: not given */
	uint64_t duration_ns; /* from now, or from a from_real_ns that is to come */
	uint64_t idle_ns;     /* 0: none */
	const struct resume_point *resume; /* begin there, if that lies behind `from`; NULL: no such place */
	struct quota *quota;		   /* shared with other consumers; outlives them; NULL: none */
};

/* Loop thread, once, when the consumer has ended: it is the handler's to read and free. */
typedef void (*consumer_done)(void *ctx, struct consumer *consumer);

/*
 * Compiles the filter, opens the interface's ring if it is not open, and starts: every matching packet from the return
 * of this call on is in. Any thread but the loop's: may block (kernel memory, name look-ups in filters). `done` may be
 * called before this returns. 0, -EINVAL (filter), -ENODEV, -EPERM, -ENOMEM, -ENOSPC (a cap), other -errno; `err` says
 * it, `*field` names the request field at fault.
 */
warn_unused int consumer_start(struct engine *engine, const struct consumer_spec *spec, consumer_done done, void *ctx,
			       struct error *err, const char **field, struct consumer **consumer);

/* Ends it early with this reason, keeping what it has; `done` follows. Any thread; no effect on one that has ended. */
void consumer_stop(struct consumer *consumer, enum end_reason reason);

/*
 * Lets it run until `until_ns` (boot time) if it would end earlier by its duration; packets, bytes and an idle limit
 * end it as before. False: it has ended, is ending this very moment, or ends for another reason than its duration. Any
 * thread.
 */
bool consumer_extend(struct consumer *consumer, uint64_t until_ns);

/* Boot time at which it ends at the latest; UINT64_MAX: not armed yet. Any thread. */
uint64_t consumer_ends_ns(const struct consumer *consumer);

/* Loop thread, after `done`. */
void consumer_free(struct consumer *consumer);

struct consumer_report {
	enum end_reason reason;
	uint64_t packets, bytes;
	uint64_t first_ns, last_ns;		/* real time of first and last packet; 0: none */
	uint64_t from_ns, to_ns, asked_from_ns; /* real time: the window that is covered, and the asked beginning */
	bool complete;
	uint64_t lost_kernel, lost_evicted, lost_memory; /* packets */
	uint64_t received; /* packets the interface's ring was offered while it ran, dropped ones included */
	bool unsorted;	   /* there was no memory to sort the packets: they are in the order of arrival */
	uint16_t linktype;
	uint32_t snaplen;
};

/* Loop thread. While it runs only packets, bytes and from_ns are filled. */
void consumer_report(const struct consumer *consumer, struct consumer_report *report);

/* After `done`. */
struct resume_point consumer_resume_point(const struct consumer *consumer);

/* The packets, after `done`. */
const struct store *consumer_store(const struct consumer *consumer);

const char *end_reason_name(enum end_reason reason);
