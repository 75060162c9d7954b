/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signs requests to AWS and compatible services (Signature Version 4). Pure; any thread.
 *
 * libcurl signs, too (CURLOPT_AWS_SIGV4), but 7.88 sorts whole header lines instead of their names, so a request that
 * has x-amz-server-side-encryption and …-aws-kms-key-id is refused; nor does it sort the query.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

#define AWS_HASH_SIZE 65       /* SHA-256 in hexadecimal, and its end */
#define AWS_TIME_SIZE 17       /* "20261123T084100Z", and its end */
#define AWS_PAIRS_MAX 24       /* headers, or parameters of a query */
#define AWS_TEXT_MAX (1 << 16) /* bytes of a request without its body */

#define AWS_EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct aws_pair {
	const char *name, *value; /* as they are, not encoded. Headers: the name in lower case */
};

struct aws_request {
	const char *method, *path; /* the path as it is sent, percent-encoded */
	const struct aws_pair *query, *headers;
	size_t query_count, header_count; /* at most AWS_PAIRS_MAX */
	const char *payload_hash;
	const char *region, *service;
	const char *time; /* as in x-amz-date */
	const char *id, *secret;
};

/* Appends text, percent-encoded but for unreserved characters (RFC 3986) and those of `kept`. As buffer_append. */
warn_unused int aws_encode(struct buffer *out, const char *text, const char *kept);

/* Appends the query, encoded and sorted, without '?'. 0, or -errno as buffer_append, or -E2BIG: too many parameters. */
warn_unused int aws_query(struct buffer *out, const struct aws_pair *query, size_t count);

/* Appends the canonical request. 0 or -errno as aws_query. */
warn_unused int aws_canonical(struct buffer *out, const struct aws_request *request);

/* Appends the value of the header Authorization. 0 or -errno as aws_query. */
warn_unused int aws_sign(struct buffer *out, const struct aws_request *request);

void aws_hash(const void *bytes, size_t size, char hash[static AWS_HASH_SIZE]);
void aws_hex(const unsigned char *bytes, size_t size, char *text); /* 2 · size + 1 bytes */
