/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a capture consists of. Internal to capture.c (its beginning, its running, its freeing) and capture_finish.c
 * (from the parts' end to the final event).
 */
#pragma once

#include "base/error.h"
#include "base/offload.h"
#include "capture/consumer.h"
#include "event/event.h"
#include "job/capture.h"
#include "job/interfaces.h"
#include "output/output_file.h"
#include "request/request.h"
#include "sink/delivery.h"

#define CAPTURE_ID_SIZE (REQUEST_ID_SIZE + 8)
#define CAPTURE_NAME_SIZE 256 /* interfaces joined by "+" */
#define DAEMON_STOPPED_TEXT "the daemon was stopped"

/* One interface. */
struct capture_part {
	struct offload_task arming;
	struct capture *capture;
	char interface[INTERFACE_NAME_SIZE];
	struct consumer_spec spec;
	struct error error;
	const char *field; /* of the request, at fault if arming failed */
	int result;
	struct consumer *armed_consumer; /* the arming thread's word of it */
	struct consumer *consumer;
	bool arming_done, ended;
};

struct capture {
	struct offload_task packet_log;
	const struct capture_deps *deps;
	struct capture *next;
	void *owner;
	struct request *request;
	uint64_t started_ns; /* boot time */
	uint64_t extend_ns;  /* boot time until when it shall run once it is armed; 0: as long as it was asked to */
	char id[CAPTURE_ID_SIZE];
	char name[CAPTURE_NAME_SIZE];
	struct request_interface tag_interface; /* for the tags */
	struct quota quota;
	bool accepted;
	bool final_published; /* the final event is out */
	bool shut_down, abandoned, stop_requested;
	bool packets_logged, delivered; /* both must be over before the packets go */
	struct consumer_report report;
	char *tags;
	struct output_file output_file;
	struct delivery *delivery;
	size_t part_count;
	struct capture_part parts[];
};

/* An event about the capture. */
struct event capture_event(const struct capture *capture, enum event_kind kind);

/* The final event of a capture that was refused. */
void capture_reject(struct capture *capture, int code, const char *field, const char *reason);

/* Every part has ended: counts, delivers, says it, and frees the capture in the end. */
void capture_finish(struct capture *capture);

/* The last word about the capture is spoken: tells the owner and frees it. */
void capture_end(struct capture *capture);
