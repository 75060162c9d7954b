/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a JSON array to lists of the request: interfaces, aliases (resolved here), destinations. Each setter is called
 * with an array; 0, or -EINVAL with the refusal filled.
 */
#pragma once

#include <jansson.h>

#include "request/request_field.h"

int request_list_set_interfaces(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_list_set_aliases(struct request_draft *draft, const struct request_field *field, const json_t *value);
int request_list_set_destinations(struct request_draft *draft, const struct request_field *field, const json_t *value);
