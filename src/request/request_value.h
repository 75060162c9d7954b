/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Setters for a request's texts, numbers and flags. Each takes a JSON value of a type that the field's row allows, and
 * returns 0, or -EINVAL with the refusal filled.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "request/request_field.h"

int request_value_set_text(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_count(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_seconds(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_files(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_every(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_snap(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_flag(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_time(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_id(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_rule(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_format(struct request_draft *draft, const struct request_field *field, const json_t *value);

/*
 * The field with the alert's identifier: `alertid`, or `alertstr` of the original program, which sends an `alertid` of
 * 0 or "" with it. NULL: neither is given.
 */
const char *request_value_alert_field(const json_t *message);

/* Of the whole message. */
int request_value_set_alertid(struct request_draft *draft, const json_t *message);

/* Requires at most `max` bytes, no NUL, and no control character that `kind` forbids. 0 or -EINVAL. */
warn_unused int request_value_check_text(struct request_draft *draft, const char *field, const json_t *value,
					 size_t max, enum request_text_kind kind);

/* Whether it is a text like an id: 1 to REQUEST_ID_SIZE - 1 plain characters. */
bool request_value_is_plain(const json_t *value);

/* Copies the id of `message`; false if it has no valid one. */
bool request_value_read_id(const json_t *message, char id[static REQUEST_ID_SIZE]);
