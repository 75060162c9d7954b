/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Setters for a request's lists: interfaces, aliases (which they resolve), destinations. Each takes a JSON array and
 * returns 0, or -EINVAL with the refusal filled.
 */
#pragma once

#include <jansson.h>

#include "request/request_field.h"

int request_list_set_interfaces(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_list_set_aliases(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_list_set_destinations(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_list_set_first_of(struct request_draft *draft, const struct request_field *field, const json_t *value);
