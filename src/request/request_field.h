/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of a request's fields: name, types, range, setter. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "request/request.h"
#include "request/request_text.h"

struct config;

/* A request being read. */
struct request_draft {
	struct request *request;
	struct request_refusal *refusal;
	const struct config *config;
	const char *const *destinations; /* names that to_destinations and first_of may use */
	size_t destination_count;
};

enum request_field_type {
	TYPE_STRING = 1 << JSON_STRING,
	TYPE_INTEGER = 1 << JSON_INTEGER,
	TYPE_REAL = 1 << JSON_REAL,
	TYPE_NUMBER = TYPE_INTEGER | TYPE_REAL,
	TYPE_BOOL = 1 << JSON_TRUE | 1 << JSON_FALSE,
	TYPE_ARRAY = 1 << JSON_ARRAY,
	TYPE_ANY = (1 << (JSON_NULL + 1)) - 1,
};

struct request_field {
	const char *name;
	unsigned types; /* enum request_field_type */
	int (*set)(struct request_draft *draft, const struct request_field *field,
		   const json_t *value);       /* NULL: read by request.c */
	size_t offset;			       /* in struct request */
	size_t limit_offset;		       /* numbers: of the limit in struct config */
	const char *limit_name;		       /* numbers: the limit's key */
	size_t bytes_max;		       /* strings */
	enum request_text_kind kind;	       /* strings */
	const char *expected;		       /* for a wrong type; NULL: by `types` */
	const char *(*rule)(const char *text); /* S3: as in config_rules.h */
};

/*
 * Reads every field of the object but `node` and `nodere` into the draft's request, which already has the defaults. 0,
 * or -EINVAL with the refusal filled; only request_unref() may then use the request.
 */
warn_unused int request_field_read_all(struct request_draft *draft, json_t *message);
