/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events report what became of a request, or a fault of the node itself (`warning`), as JSON (pcapdaemon(8), EVENTS). A
 * job fills a `struct event` and publishes it on the bus (event_bus.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_ACCEPTED,
	EVENT_REJECTED,
	EVENT_CAPTURED,
	EVENT_DONE,
	EVENT_FAILED,
	EVENT_WARNING,
	EVENT_SUPPRESSED,
	EVENT_SPOOLED, /* not final: job/spool.h */
};

#define EVENT_KINDS (EVENT_SPOOLED + 1)

#define EVENT_REASON_STOP "stop" /* of `done`: the answer to a request that ends captures */

const char *event_kind_name(enum event_kind kind); /* "accepted" … */

#define EVENT_FILTER_MAX 512 /* bytes of a filter in an event; a longer one is cut, with "..." */

/* What ends a request's captures. */
struct event_limits {
	uint64_t packets, bytes, snap; /* 0: none was set */
	uint64_t duration_ns, idle_ns; /* 0: none */
};

struct event_destination {
	const char *name;
	bool ok;
	const char *url;     /* NULL: none */
	const char *error;   /* NULL: none */
	const char *warning; /* of a success; NULL: none */
	unsigned attempts;
	bool superseded;    /* it failed, and the following one was tried instead (first_of) */
	bool streamed;	    /* sent while the capture ran */
	uint64_t delivered; /* of such a file: bytes that it took */
};

/* An interface that could not take part. */
struct event_skipped {
	const char *interface;
	const char *reason; /* "memory", "gone", or the error's text */
};

/* The publisher owns the strings, which are only read during event_bus_publish(). Members marked (*) are optional: NULL
 * or 0 leaves them out. */
struct event {
	enum event_kind kind;
	const char *id;	     /* the request's; (*) */
	const char *capture; /* the capture's own id; (*) */
	const char *node;
	const char *interface;	    /* (*) */
	uint64_t time_ns;	    /* real time */
	const char *reason;	    /* (*) for `rejected`: the refusal's text */
	const char *field;	    /* (*) for `rejected`: the field at fault */
	int code;		    /* for `rejected`: a negative errno for callers in this process; not in the JSON */
	const char *origin;	    /* (*) where the request came from */
	const char *key;	    /* (*) that signed the request */
	const char *rule;	    /* (*) the alert rule that made the request */
	const char *filter;	    /* (*) what packets must match, for people */
	const char *inner;	    /* (*) what the packet in a tunnel must match */
	struct event_limits limits; /* (*) each, and all of it */
	bool broad;		    /* the request may have reached other nodes as well; not in the JSON */
	bool suppressed;	    /* not to be published (event_gate.h): only for this process; not in the JSON */
	uint64_t count;		    /* `suppressed`: events it stands for; reason "stop": captures it ended; (*) */
	bool duplicate;		    /* (*) a repeated answer; the request did not run again */
	const char *folded_into;    /* (*) the id of the running request that this one repeats and was folded into */
	uint64_t until_ns;	    /* (*) real time at which that one now ends */
	bool counted;		    /* packets, bytes, window, lost and seen are valid */
	uint64_t packets, bytes;
	uint64_t first_ns, last_ns; /* real time of first and last packet; (*) */
	struct {
		uint64_t from_ns, to_ns, asked_from_ns, asked_to_ns; /* real time; (*) */
		bool complete;
	} window;
	struct {
		uint64_t kernel, evicted, memory; /* packets */
		bool at_least;			  /* (*) memory ran out, and nothing was counted from then on */
	} lost;
	uint64_t seen;		     /* packets that passed while it ran, wanted or not */
	const char *ended_by;	     /* (*) what ended it, if the reason is "empty" */
	const char *limit_key;	     /* (*) the limit of the configuration that ended it before its time */
	uint64_t limit;		     /* its value: packets or bytes */
	const char *interface_state; /* (*) of an empty capture's interface, at the end */
	const char *hint;	     /* (*) why the capture is empty */
	uint64_t odd_stamps;	     /* packets whose stamps do not fit their arrival; (*) */
	struct {
		uint64_t rx_dropped, rx_missed_errors, queue_drops; /* packets; (*) each, and all of it */
	} nic;
	uint64_t truncated;			      /* packets that are shorter than wanted; (*) */
	uint64_t duplicates;			      /* packets left out of the file as such; (*) */
	const struct event_skipped *skipped;	      /* (*) */
	size_t skipped_count, skipped_total;	      /* the list may be cut */
	const struct event_destination *destinations; /* (*) */
	size_t destination_count;
	const char *file;	     /* the file's name; (*) */
	const char *tags, *customer; /* (*) */
	const char *alertid;	     /* (*) */
	bool alertid_is_integer;     /* written as a JSON number */
};

/* Compact JSON with "v":1 on one line, without a newline; U+FFFD replaces invalid UTF-8. Caller frees; NULL on ENOMEM.
 */
char *event_json(const struct event *event);
