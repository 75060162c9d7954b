/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request to S3: waits for an access key, signs, sends, and reads the answer. If the service says that the bucket
 * is in another region, that our clock is off, or that the key has expired, the request is sent once more, corrected.
 * All calls on the loop's thread; none blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "sink/s3/aws_sign.h"
#include "sink/s3/s3_target.h"
#include "sink/sink.h"

struct aws_credentials_options;
struct event_base;
struct http_client_options;
struct s3_call;
struct s3_client; /* what requests share: connections, access key, the service's clock */

/* What it points to must outlive the call. */
struct s3_request {
	const char *method;
	struct s3_target *target; /* the call corrects its region */
	const char *key;	  /* NULL: the bucket itself */
	const struct aws_pair *query, *headers;
	size_t query_count, header_count;
	const void *body;
	size_t body_size;
	const char *body_hash;
	bool wants_answer; /* success is only known from the answer's body */
	bool wants_etag;
};

/* Valid during the callback. */
struct s3_answer {
	enum sink_verdict verdict;
	uint64_t retry_after_ns;
	long status;	   /* 0: none */
	bool unclear;	   /* the request was sent whole, and it may have been carried out */
	char code[64];	   /* S3's, as in NoSuchUpload; "": none */
	char error[1024];  /* "": none. Without secrets */
	char etag[256];	   /* "": none */
	char checksum[32]; /* the algorithm that the service will check parts by; "": none */
	const char *body;
	size_t body_size;
};

/* May free the call. */
typedef void (*s3_call_done)(void *ctx, const struct s3_answer *answer);

/* `http`: its `https` does not count. Options are copied. NULL on ENOMEM. */
struct s3_client *s3_client_new(struct event_base *loop, const struct http_client_options *http,
				const struct aws_credentials_options *credentials);
void s3_client_free(struct s3_client *client); /* all calls must have been freed */

/* `done` is called once, from the loop, unless the call is freed before. NULL on ENOMEM. */
struct s3_call *s3_call_start(struct s3_client *client, const struct s3_request *request, s3_call_done done, void *ctx);
void s3_call_free(struct s3_call *call);

CLEANUP_DEFINE(s3_client, struct s3_client, s3_client_free)
CLEANUP_DEFINE(s3_call, struct s3_call, s3_call_free)
