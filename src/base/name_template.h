/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * URLs, paths and texts with placeholders for what a capture is called: "https://host/{customer}/{date}/{name}". "{{"
 * and "}}" stand for braces. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"

/* The values; NULL or "": none. */
struct name_values {
	const char *node, *interface, *customer; /* as they are */
	const char *id;				 /* the request's */
	const char *capture;			 /* the capture's own id */
	const char *name;			 /* the file's */
	const char *tags, *comment;
	uint64_t time_ns; /* real time at which the capture begins; {date} and {time} are UTC */
};

/* All placeholders, for messages and manuals. */
#define NAME_TEMPLATE_PLACEHOLDERS \
	"{node}, {interface}, {customer}, {id}, {capture}, {name}, {tags}, {comment}, {date}, {time}"

/*
 * How a value is written. In a URL it is percent-encoded; before the query it cannot hold a slash or begin with a dot,
 * so that it cannot name another directory. In a path every byte but [A-Za-z0-9._-] becomes "_", and so does a leading
 * dot. In a text (a header, a form's field) control characters become spaces. In URLs and paths no value is empty: "_".
 */
enum name_template_place { NAME_TEMPLATE_URL, NAME_TEMPLATE_PATH, NAME_TEMPLATE_TEXT };

/* Bytes of a value in a URL or path, and in a text; a longer one is cut. */
#define NAME_VALUE_MAX 1024
#define NAME_TEXT_MAX 8192

/* The reason why the text is no template, or NULL. */
const char *name_template_objection(const char *text);

/* Whether a placeholder ("name", "capture") is in a text that has no objections. */
bool name_template_has(const char *text, const char *placeholder);

/* Appends the text with its values, as far as there are no objections. 0, -EMSGSIZE or -ENOMEM. */
warn_unused int name_template_expand(const char *text, enum name_template_place place, const struct name_values *values,
				     struct buffer *out);
