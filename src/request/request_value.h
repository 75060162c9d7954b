/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a JSON value to a member of the request: texts, numbers, flags. Each setter is called with a value of a type the
 * field's row allows; 0, or -EINVAL with the refusal filled.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "request/request_field.h"

int request_value_set_text(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_count(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_seconds(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_snap(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_flag(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_time(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_id(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_alertid(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_value_set_format(struct request_draft *draft, const struct request_field *field, const json_t *value);

/* What every string of a request must obey: at most `max` bytes, no NUL, no control characters but those of its kind.
 */
warn_unused int request_value_check_text(struct request_draft *draft, const char *field, const json_t *value,
					 size_t max, enum request_text_kind kind);

/* Copies the id of `message` if there is a valid one, and says so. */
bool request_value_read_id(const json_t *message, char id[static REQUEST_ID_SIZE]);
