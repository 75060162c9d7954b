/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A field of a rule with placeholders for values of the alert:
 *
 *     {path}  {path:type}  {path:type|default}  {path - 2s}  {flow}
 *
 * The field's place decides which types may stand there: untyped text enters only texts. In a filter, a part in
 * brackets with a placeholder in it, "[and port {p:port}]", is left out if the alert lacks its values; any other
 * missing value means that the rule does not match.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

#define ALERT_TEMPLATE_MAX 4096 /* bytes, as written */
#define ALERT_FILTER_MAX 4096	/* bytes, as filled in */
#define ALERT_PIECES_MAX 64

enum alert_place {
	ALERT_IN_TEXT,	    /* any type; untyped is text */
	ALERT_IN_FILTER,    /* ip cidr port proto mac int, {flow} at the end */
	ALERT_IN_NODE,	    /* one placeholder: a host */
	ALERT_IN_INTERFACE, /* one placeholder: an interface */
	ALERT_IN_TIME,	    /* one placeholder: a time, with or without a shift */
	ALERT_IN_NUMBER,    /* one placeholder: an integer */
};

struct alert_template;

/* 0, -EINVAL with the fault, or -ENOMEM. */
warn_unused int alert_template_new(const char *text, enum alert_place place, struct error *err,
				   struct alert_template **result);
void alert_template_free(struct alert_template *template);

/* Appends the text with the alert's values. -ENOENT: a value is missing, -EINVAL: a value is of another type or out of
 * range (`why` names it); else what buffer_append() returns. */
warn_unused int alert_template_fill(const struct alert_template *template, const json_t *alert, struct buffer *out,
				    struct error *why);

/* The same with a made-up value for each placeholder, and with or without the optional parts: for checking a filter
 * when rules are loaded. */
warn_unused int alert_template_sample(const struct alert_template *template, bool with_optional, struct buffer *out);

CLEANUP_DEFINE(alert_template, struct alert_template, alert_template_free)
