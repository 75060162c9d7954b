/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks that a request's head is unambiguous. It is refused where two readers could differ about where the request
 * ends (RFC 9112, 11.2) or whom it is for, and so is every form that no sane client sends.
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct http_head {
	const char *method, *version;
	/* found by http_check_head: */
	uint64_t body_size;
	bool has_body_size, has_type;
	const char *type, *authorization; /* NULL: not sent */
	unsigned authorization_count;
};

/* 0, or the status to refuse the request with, and the reason's text. */
warn_unused unsigned http_check_head(struct MHD_Connection *mhd, struct http_head *head, const char **text);

/* Whether a Content-Type value is application/json, with or without a UTF-8 charset. */
bool http_is_json(const char *type);

/* Whether the header's value is "Bearer <token>"; takes the same time wherever they differ. */
bool http_bearer_matches(const char *authorization, const char *token);
