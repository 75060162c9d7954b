/* SPDX-License-Identifier: BSD-2-Clause */
/* A finished capture as the file for its destinations: its packets, and section comments with the request, the window
 * and the losses. */
#pragma once

#include "base/packet.h"
#include "capture/consumer.h"
#include "output/duplicates.h"
#include "output/output_comments.h"
#include "output/statistics_comment.h"
#include "output/store_merge.h"
#include "pcapng/capture_file.h"
#include "request/request.h"
#include "sink/sink.h"

/* One capture part: its report and its sealed packets. */
struct output_part {
	const char *interface;
	struct consumer_report report;
	const struct store *store;
};

struct output_file {
	enum capture_file_format format;
	struct capture_file_info info;
	struct packet_interface *interfaces;
	char *filter;				     /* of all of them, as text */
	char (*statistics)[STATISTICS_COMMENT_SIZE]; /* by part */
	const struct store **stores;
	size_t part_count;
	struct store_merge_limits limits;
	char name[CAPTURE_FILE_NAME_SIZE];
	struct sink_file file; /* for a delivery; valid as long as the output file */
	struct output_comments comments;
};

struct output_file_options {
	const struct request *request;
	const char *capture;		      /* its id */
	const char *node, *interface, *tags;  /* interface: for the file's name */
	const char *file_id;		      /* likewise; NULL: the request's id */
	const struct consumer_report *report; /* of the whole capture */
	const char *skipped;		      /* interfaces left out, and why; NULL: none */
	const struct output_part *parts;
	size_t part_count;
	const struct duplicates *duplicates; /* to leave out; NULL: none */
};

/*
 * What the options point to must outlive the output file. 0 or -ENOMEM. Streams opened from the file may be read on any
 * thread.
 */
warn_unused int output_file_init(struct output_file *output, const struct output_file_options *options);
void output_file_deinit(struct output_file *output);
