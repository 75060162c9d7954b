/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TOML as C sees it: one walk over a document, a call for every section and every key in it. The only place that knows
 * toml++. Strings and arrays handed to the callbacks live until the callback returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOML_SIZE_MAX (1024 * 1024) /* bytes of a document */
#define TOML_DEPTH_MAX 16	    /* arrays and inline tables in each other */
#define TOML_DOTS_MAX 512	    /* dots in one line: bounds how deep dotted keys can nest tables */

enum toml_type {
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOLEAN,
	TOML_DATE, /* any date or time; carries no value */
	TOML_ARRAY,
	TOML_TABLE, /* carries no value */
};

struct toml_location {
	unsigned line, column; /* from 1; 0: not in the document */
};

struct toml_value {
	enum toml_type type;
	struct toml_location location;
	union {
		const char *string; /* valid UTF-8, NUL-terminated, may hold NULs inside: see size */
		int64_t integer;
		double real;
		bool boolean;
		const struct toml_value *items; /* arrays inside arrays come without their items */
	};
	size_t size; /* bytes of a string, items of an array */
};

struct toml_visitor {
	/* A section begins, [name] or, if `repeated`, one [[name]]; also called for an empty one. */
	void (*section)(void *ctx, const char *name, bool repeated, struct toml_location location);
	/* A key of the section last begun; keys before every section come first, without a section() call. Control
	 * characters in the key (only quoted keys can have them) are replaced by '?'. */
	void (*key)(void *ctx, const char *key, struct toml_location location, const struct toml_value *value);
	void *ctx;
};

struct toml_fault {
	struct toml_location location;
	char text[256];
};

#ifdef __cplusplus
extern "C" {
#endif

/* 0; -EINVAL (not TOML, `fault` says what and where, nothing was visited), -EFBIG (too large) or -ENOMEM. */
__attribute__((warn_unused_result)) int toml_read(const char *text, size_t size, const struct toml_visitor *visitor,
						  struct toml_fault *fault);

#ifdef __cplusplus
}
#endif
