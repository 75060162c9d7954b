/*
 * What a leg consists of. Internal to leg.c (its beginning, its running, its freeing) and leg_finish.c (from the
 * captures' end to the final event).
 */
#pragma once

#include "base/error.h"
#include "base/offload.h"
#include "capture/engine.h"
#include "event/event.h"
#include "job/image.h"
#include "job/interfaces.h"
#include "job/leg.h"
#include "request/request.h"
#include "sink/sink.h"

#define LEG_ID_SIZE (REQUEST_ID_SIZE + 8)
#define LEG_NAME_SIZE 256 /* interfaces joined by "+" */
#define LEG_STOPPED_TEXT "the daemon was stopped"

/* One interface. */
struct leg_part {
	struct offload_task arming; /* first */
	struct leg *leg;
	char interface[INTERFACE_NAME_SIZE];
	struct consumer_spec spec;
	struct error error;
	const char *field; /* of the request, at fault if arming failed */
	int result;
	struct consumer *started; /* the arming thread's word of it */
	struct consumer *consumer;
	bool settled, ended;
};

struct leg {
	struct offload_task tracing;
	const struct leg_surroundings *with;
	struct leg *next;
	void *owner;
	struct request *request;
	uint64_t started_ns; /* boot time */
	uint64_t extend_ns;  /* boot time until when it shall capture once it is armed; 0: as long as it was asked to */
	char id[LEG_ID_SIZE];
	char name[LEG_NAME_SIZE];
	struct request_interface named; /* for the tags */
	struct quota quota;
	bool accepted, over; /* over: the final event is out */
	bool shut_down, abandoned, stop_wanted;
	bool traced, delivered; /* both must be over before the packets go */
	struct consumer_report report;
	char *tags;
	struct image image;
	struct delivery *delivery;
	size_t part_count;
	struct leg_part parts[];
};

/* An event about the leg. */
struct event leg_describe(const struct leg *leg, enum event_kind kind);

/* The final event of a leg that captures nothing. */
void leg_refuse(struct leg *leg, int code, const char *field, const char *reason);

/* Every part has ended: counts, delivers, says it, and frees the leg in the end. */
void leg_finish(struct leg *leg);

/* The last word about the leg is spoken: tells the owner and frees it. */
void leg_end(struct leg *leg);
