/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture's state, shared by capture.c (from start to the end of capturing, and freeing) and capture_finish.c (from
 * there to the final event).
 */
#pragma once

#include "base/error.h"
#include "base/offload.h"
#include "capture/consumer.h"
#include "event/event.h"
#include "job/capture.h"
#include "job/empty_hint.h"
#include "job/interfaces.h"
#include "job/skipped.h"
#include "output/output_file.h"
#include "request/request.h"
#include "sink/delivery.h"

#define CAPTURE_ID_SIZE (REQUEST_ID_SIZE + 8)
#define CAPTURE_NAME_SIZE 256 /* interfaces joined by "+" */
#define DAEMON_STOPPED_TEXT "the daemon was stopped"

struct capture_stream;
struct live_output;

/* One interface's share. */
struct capture_part {
	struct offload_task arming;
	struct capture *capture;
	char interface[INTERFACE_NAME_SIZE];
	struct consumer_spec consumer_spec;
	struct error error;
	const char *field; /* the request's field at fault if arming failed */
	int result;
	struct consumer *armed_consumer; /* written by the arming thread */
	struct consumer *consumer;
	bool arming_done, ended;
	bool joined;		   /* its interface appeared later */
	struct consumer_feed feed; /* of a live capture */
	size_t live_index;	   /* which part of the live output it is */
};

struct capture {
	struct offload_task packet_log;
	const struct capture_deps *deps;
	struct capture *next;
	void *owner;
	struct request *request;
	uint64_t started_ns; /* boot time */
	uint64_t extend_ns;  /* boot time: run until then once armed; 0: not extended */
	char id[CAPTURE_ID_SIZE];
	char name[CAPTURE_NAME_SIZE];
	struct request_interface tag_interface; /* for the tags */
	struct quota quota;
	struct filter_cache *filters;
	size_t ring_bytes; /* of each ring that is opened */
	bool accepted;
	bool final_published;
	bool shut_down, abandoned, stop_requested;
	bool memory_spent;		/* for one of its parts */
	bool packets_logged, delivered; /* the packets are freed after both */
	struct consumer_report report;
	char *tags;
	char hint[EMPTY_HINT_SIZE]; /* why it is empty; "": it is not */
	struct offload_task duplicates_search;
	struct duplicates *duplicates; /* to leave out; NULL: none */
	struct output_file output_file;
	struct delivery *delivery;
	struct live_output *live;      /* referenced; NULL: it has destinations */
	bool live_ended;	       /* it only waits for the client to read the end */
	struct capture_stream *stream; /* that client, of a streamed capture; NULL: it is none */
	/* A series of files, each a capture. The next one is prepared while this one runs; NULL: there is none. */
	struct capture *next_file;
	uint64_t file_number; /* from 1 */
	bool pending;	      /* it is such a next one: it has not begun, as far as the loop knows */
	bool continued;	      /* another one goes on where it has ended */
	struct capture_part **parts;
	size_t part_count, part_room;
	struct skipped skipped; /* interfaces of the request that are no part of it */
};

/* An event about the capture. */
struct event capture_event(const struct capture *capture, enum event_kind kind);

/* Publishes the final event of a refused capture. */
void capture_reject(struct capture *capture, int code, const char *field, const char *reason);

/* Every part has ended: counts, delivers, publishes the final event and frees the capture. */
void capture_finish(struct capture *capture);

/* A live capture's client has read all, or an error tells why it has not: publishes the final event and frees it. */
void capture_finish_live(struct capture *capture, const char *error);

/* The same for a streamed capture, with what became of its destinations. */
void capture_finish_streamed(struct capture *capture, const struct delivery_result *results, size_t result_count);

/* The capture is finished: notifies the owner and frees it. */
void capture_end(struct capture *capture);
