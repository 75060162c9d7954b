/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request's target, "/v1/captures/a%20b?wait=1" (origin-form, RFC 9112 3.2.1) or the same after "http://host:port"
 * (absolute-form, 3.2.2: what a client sends to a proxy), split and decoded. Strict: refuses what RFC 3986 does not
 * allow in a path or query, a decoded NUL, and a decoded slash inside a segment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define HTTP_TARGET_BYTES_MAX (8 * 1024) /* as sent */
#define HTTP_SEGMENTS_MAX 8		 /* a longer path is no error, but matches no route */
#define HTTP_PARAMETERS_MAX 16

struct http_parameter {
	const char *name, *value; /* decoded; value "" if none was sent */
};

struct http_target {
	char *text; /* all pointers below point into it */
	const char *segments[HTTP_SEGMENTS_MAX];
	size_t segment_count; /* HTTP_SEGMENTS_MAX + 1: too many */
	struct http_parameter parameters[HTTP_PARAMETERS_MAX];
	size_t parameter_count;
};

/* 0, -EINVAL (malformed), -E2BIG (too long, too many parameters) or -ENOMEM; on failure there is nothing to deinit. */
warn_unused int http_target_parse(struct http_target *target, const char *raw);
void http_target_deinit(struct http_target *target);

/* 0, -ENOENT (not sent), -EEXIST (sent more than once). */
warn_unused int http_target_parameter(const struct http_target *target, const char *name, const char **value);

/* The first name sent that is not in `known` (NULL-terminated); NULL: none. */
const char *http_target_unknown_parameter(const struct http_target *target, const char *const *known);

/* Whether the path matches `pattern`: segments, where "*" stands for any non-empty one. */
bool http_target_matches(const struct http_target *target, const char *pattern);

/* What the pattern's `index`th "*" (from 0) stands for in a matching path; NULL: no such "*". */
const char *http_target_wildcard(const struct http_target *target, const char *pattern, size_t index);
