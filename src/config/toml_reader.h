/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TOML reader for C: one walk over a document, with a callback for every section and key. No other file uses toml++.
 * Strings and arrays passed to a callback live until it returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOML_SIZE_MAX (1024 * 1024) /* bytes of a document */
#define TOML_DEPTH_MAX 16	    /* nested arrays and inline tables */
#define TOML_DOTS_MAX 512	    /* dots in one line: limits how deep dotted keys nest tables */

enum toml_type {
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOLEAN,
	TOML_DATE, /* any date or time; has no value here */
	TOML_ARRAY,
	TOML_TABLE, /* has no value here */
};

struct toml_location {
	unsigned line, column; /* from 1; 0: not in the document */
};

struct toml_value {
	enum toml_type type;
	struct toml_location location;
	union {
		const char *string; /* valid UTF-8, NUL-terminated; may contain more NULs, see size */
		int64_t integer;
		double real;
		bool boolean;
		const struct toml_value *items; /* nested arrays come without their items */
	};
	size_t size; /* bytes of a string, items of an array */
};

struct toml_visitor {
	/* A section begins, possibly an empty one: [name] or, if `repeated`, [[name]]. */
	void (*section)(void *ctx, const char *name, bool repeated, struct toml_location location);
	/* Whether "a.b", a table in the section [a], is a section of its own, which then follows [a]'s keys. Otherwise
	 * it is a key of [a]. */
	bool (*is_section)(void *ctx, const char *name);
	/* A key of the current section; keys before the first section come before any section() call. '?' replaces
	 * control characters, which quoted keys can have. */
	void (*key)(void *ctx, const char *key, struct toml_location location, const struct toml_value *value);
	const char *first_key; /* of a repeated section: comes before its other keys; NULL: none does */
	void *ctx;
};

struct toml_fault {
	struct toml_location location;
	char text[256];
};

#ifdef __cplusplus
extern "C" {
#endif

/* 0; -EINVAL if it is not TOML (with `fault`; nothing was visited), -EFBIG if it is too large, or -ENOMEM. */
__attribute__((warn_unused_result)) int toml_read(const char *text, size_t size, const struct toml_visitor *visitor,
						  struct toml_fault *fault);

#ifdef __cplusplus
}
#endif
