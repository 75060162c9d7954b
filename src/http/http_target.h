/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request's target, "/v1/captures/a%20b?wait=1" (origin-form, RFC 9112 3.2.1): taken apart and decoded. Strict: what
 * RFC 3986 does not allow in a path or query is refused, so is a decoded NUL, and a decoded slash inside a segment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define HTTP_TARGET_BYTES_MAX (8 * 1024) /* bytes, as sent */
#define HTTP_SEGMENTS_MAX 8		 /* more is no path of ours, but no fault */
#define HTTP_PARAMETERS_MAX 16

struct http_parameter {
	const char *name, *value; /* decoded; value "" where none was sent */
};

struct http_target {
	char *text; /* what all below points into */
	const char *segments[HTTP_SEGMENTS_MAX];
	size_t segment_count; /* HTTP_SEGMENTS_MAX + 1: more than that */
	struct http_parameter parameters[HTTP_PARAMETERS_MAX];
	size_t parameter_count;
};

/* 0, or -EINVAL (malformed), -E2BIG (too long, too many parameters), -ENOMEM; then there is nothing to deinit. */
warn_unused int http_target_parse(struct http_target *target, const char *raw);
void http_target_deinit(struct http_target *target);

/* 0, -ENOENT (not sent), -EEXIST (sent more than once). */
warn_unused int http_target_parameter(const struct http_target *target, const char *name, const char **value);

/* The first name that is sent and not in `known` (NULL-terminated); NULL: there is none. */
const char *http_target_unknown_parameter(const struct http_target *target, const char *const *known);

/* Whether the path is `pattern`: segments, of which "*" stands for any one. */
bool http_target_matches(const struct http_target *target, const char *pattern);

/* What the pattern's `index`th "*" (from 0) stands for in a path that matches; NULL: there is no such "*". */
const char *http_target_wildcard(const struct http_target *target, const char *pattern, size_t index);
