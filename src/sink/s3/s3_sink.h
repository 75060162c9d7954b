/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: S3 and what speaks its protocol. Small files are one PUT, larger ones a multipart upload. Every request is
 * signed together with the hash of its body; no key, token or signature reaches a log, an event or an error text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sink/s3/s3_target.h"

struct event_base;
struct secret;
struct sink;

/* What a request may set (struct sink_overrides). */
enum s3_override {
	S3_OVERRIDE_BUCKET = 1,
	S3_OVERRIDE_FOLDER = 2,
	S3_OVERRIDE_REGION = 4,
	S3_OVERRIDE_ENDPOINT = 8,
	S3_OVERRIDE_ACL = 16,
	S3_OVERRIDE_ENCRYPTION = 32,
};

struct s3_sink_options {
	const char *endpoint, *region, *bucket, *folder; /* endpoint, region: "": AWS's own, the environment's */
	const char *acl, *encryption, *kms_key;		 /* encryption: "", "AES256" or as in the service's header */
	enum s3_style style;
	unsigned overrides; /* enum s3_override: what requests may set */

	const char *access_id;			   /* "": the key comes from elsewhere, see aws_credentials.h */
	struct secret *access_key, *session_token; /* not copied, must outlive the sink; NULL: none */
	const char *credentials_file, *profile;

	bool verify;	     /* TLS: certificate and host name */
	const char *ca_file; /* NULL or "": the system's authorities */
	uint64_t min_speed;  /* bytes a second, over any window; a slower request is aborted; 0: 1 KiB/s */
	uint64_t window_ns;  /* 0: 60 s */
	uint64_t backoff_ns; /* before a part is sent again; 0: 1 s */
};

/* Options from the texts of the configuration. */
enum s3_style s3_style(const char *path_style);	   /* "true", "false", "" */
const char *s3_encryption(const char *encryption); /* "true", "false", "", or as in the service's header */
unsigned s3_overrides(char *const *fields, size_t count);

/* Options are copied. NULL on ENOMEM. */
struct sink *s3_sink_new(struct event_base *loop, const char *name, const struct s3_sink_options *options);
