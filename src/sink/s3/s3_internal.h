/* SPDX-License-Identifier: BSD-2-Clause */
/* What the S3 sink's own files share. Loop thread. */
#pragma once

#include "sink/s3/s3_memory.h"
#include "sink/s3/s3_sink.h"
#include "sink/sink.h"

struct offload;
struct s3_cleanup;
struct s3_client;

struct s3_sink {
	struct sink sink;
	struct s3_sink_options options; /* texts are owned, never NULL; those of the key are not kept */
	char address[512];		/* for people */
	struct event_base *loop;
	struct s3_client *client;
	struct s3_cleanup *cleanup;
	struct offload *threads; /* read and hash */
	struct s3_memory memory;
};

/* The functions of struct sink_class. */
struct sink_attempt *s3_upload_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
				     void *ctx);
bool s3_upload_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome);
