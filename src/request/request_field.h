/* SPDX-License-Identifier: BSD-2-Clause */
/* The fields of a request, as one table: name, types, range, what becomes of the value, and which are refused so far.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "request/request.h"
#include "request/request_text.h"

struct config;

/* A request while it is read. */
struct request_draft {
	struct request *request;
	struct request_refusal *refusal;
	const struct config *config;
	const char *const *destinations; /* names that to_destinations may use */
	size_t destination_count;
};

enum request_field_type {
	TYPE_STRING = 1 << JSON_STRING,
	TYPE_INTEGER = 1 << JSON_INTEGER,
	TYPE_REAL = 1 << JSON_REAL,
	TYPE_NUMBER = TYPE_INTEGER | TYPE_REAL,
	TYPE_BOOL = 1 << JSON_TRUE | 1 << JSON_FALSE,
	TYPE_ARRAY = 1 << JSON_ARRAY,
};

struct request_field {
	const char *name;
	unsigned types; /* enum request_field_type */
	int (*set)(struct request_draft *draft, const struct request_field *field,
		   const json_t *value); /* NULL: read elsewhere */
	size_t offset;			 /* offset in struct request */
	size_t limit_offset;		 /* numbers: offset in struct config of the most that is allowed */
	const char *limit_name;		 /* … and its key; strings: unused */
	size_t bytes_max;		 /* strings */
	enum request_text_kind kind;	 /* strings */
	const char *unavailable;	 /* why the field is refused so far; NULL: it is not */
};

/*
 * Reads every field of the object into the draft's request, in which the defaults stand already. 0, or -EINVAL with the
 * refusal filled; the request is then half-filled and good for request_unref only. `node` and `nodere` are passed over.
 */
warn_unused int request_field_read_all(struct request_draft *draft, json_t *message);
