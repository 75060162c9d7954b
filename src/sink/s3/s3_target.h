/* SPDX-License-Identifier: BSD-2-Clause */
/* Where an object goes: service, bucket, name. Pure; any thread. */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"

#define S3_KEY_MAX 1024 /* bytes of an object's name: the service's limit */
#define S3_HOST_SIZE 512
#define S3_REGION_SIZE 64

enum s3_style {
	S3_STYLE_AUTO, /* AWS by host name, unless the bucket's name has a dot; other services by path */
	S3_STYLE_PATH, /* https://endpoint/bucket/key */
	S3_STYLE_HOST, /* https://bucket.endpoint/key */
};

struct s3_target {
	const char *endpoint; /* [scheme://]host[:port][/]; "": AWS's of the region */
	const char *bucket;
	char region[S3_REGION_SIZE];
	enum s3_style style;
};

struct s3_address {
	bool https;
	char host[S3_HOST_SIZE]; /* as in the header Host: with a port unless that is the scheme's own */
	struct buffer path;	 /* percent-encoded */
};

/* `key` NULL: the bucket's address. 0, -EMSGSIZE or -ENOMEM; call s3_address_deinit either way. */
warn_unused int s3_address_init(struct s3_address *address, const struct s3_target *target, const char *key);
void s3_address_deinit(struct s3_address *address);

/* The object's name: folder/name, without double or leading slashes. 0 or -EMSGSIZE. */
warn_unused int s3_key(char key[static S3_KEY_MAX + 1], const char *folder, const char *name);

/*
 * The value of a metadata header: as it is if it is plain ASCII, else an encoded word (RFC 2047). A text of which more
 * than `max` bytes would be needed loses its last items, which commas separate. 0 or -ENOMEM.
 */
warn_unused int s3_metadata(struct buffer *out, const char *text, size_t max);

/* The bucket is in this region: goes to AWS's endpoint there, if it went to one of AWS's. */
void s3_target_move(struct s3_target *target, const char *region);

/* Whether it may be a region's name: it is signed, and part of a host name. */
bool s3_is_region(const char *text);
