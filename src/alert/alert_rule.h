/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule: which alerts it takes, and the request that it makes of one. Its keys and their meaning: pcapdaemon(8),
 * ALERT RULES. Immutable once read; one thread at a time may apply it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "alert/alert_condition.h"
#include "alert/alert_template.h"
#include "base/cleanup.h"
#include "base/error.h"

#define ALERT_CONDITIONS_MAX 64 /* in `match`, and in `stop_on` */
#define ALERT_LIST_MAX 64	/* interfaces, aliases or destinations */
#define ALERT_FIELDS_MAX 32
#define ALERT_NAME_MAX 64

struct alert_conditions {
	struct alert_condition *items[ALERT_CONDITIONS_MAX];
	size_t count;
};

/* A field of the request, filled in for each alert. */
struct alert_field {
	const char *name;
	enum alert_place place;
	struct alert_template *template;
};

struct alert_rule {
	char *name;
	char *input; /* a format, or the name of an input; NULL: any */
	struct alert_conditions match, stop_on;
	struct alert_template *node; /* NULL: this node */
	struct alert_template *interfaces[ALERT_LIST_MAX];
	size_t interface_count;
	struct alert_field fields[ALERT_FIELDS_MAX];
	size_t field_count;
	json_t *constants;		   /* the request's fields that no alert changes */
	uint64_t cooldown_ns;		   /* 0: none */
	int64_t max_running, max_per_hour; /* 0: no limit */
	bool dry_run, publish;
};

/* What a rule's result depends on besides the alert. */
struct alert_context {
	const char *node; /* this node's name */
	/* The node that a host of an alert is, by the configuration; NULL: it does not say. */
	const char *(*find_node)(void *ctx, const char *host);
	bool (*has_interface)(void *ctx, const char *name); /* this node */
	void *ctx;
	const char *input; /* the name of the alert's input; NULL: none */
	const char *format;
	uint64_t arrived_ns; /* real time */
};

enum alert_verdict {
	ALERT_NO_MATCH, /* `why` (NULL: not wanted, which is faster) has the reason */
	ALERT_START,	/* `*request` asks for a capture */
	ALERT_STOP,	/* `*request` ends the captures with its dedupe key */
	ALERT_FAILED,	/* out of memory, or the request is too long: `why` */
};

/* Applies the rule. On ALERT_START and ALERT_STOP the caller owns *request, a JSON object. */
warn_unused enum alert_verdict alert_rule_apply(const struct alert_rule *rule, const json_t *alert,
						const struct alert_context *context, json_t **request,
						struct error *why);

void alert_rule_free(struct alert_rule *rule);

CLEANUP_DEFINE(alert_rule, struct alert_rule, alert_rule_free)
