/*
 * From a JSON value to a member of the request: texts, numbers, flags. Each setter is called with a value of a type the
 * field's row allows; 0, or -EINVAL with the refusal filled.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "request/request_field.h"

int value_set_text(struct draft *draft, const struct field *field, const json_t *value);
int value_set_count(struct draft *draft, const struct field *field, const json_t *value);
int value_set_seconds(struct draft *draft, const struct field *field, const json_t *value);
int value_set_snap(struct draft *draft, const struct field *field, const json_t *value);
int value_set_flag(struct draft *draft, const struct field *field, const json_t *value);
int value_set_time(struct draft *draft, const struct field *field, const json_t *value);
int value_set_id(struct draft *draft, const struct field *field, const json_t *value);
int value_set_alertid(struct draft *draft, const struct field *field, const json_t *value);
int value_set_format(struct draft *draft, const struct field *field, const json_t *value);

/* What every string of a request must obey: at most `most` bytes, no NUL, no control characters but those of its kind.
 */
warn_unused int value_check_text(struct draft *draft, const char *field, const json_t *value, size_t most,
				 enum text_kind kind);

/* Copies the id of `message` if there is a valid one, and says so. */
bool value_read_id(const json_t *message, char id[static REQUEST_ID_SIZE]);
