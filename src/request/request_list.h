/*
 * From a JSON array to lists of the request: interfaces, aliases (resolved here), destinations. Each setter is called
 * with an array; 0, or -EINVAL with the refusal filled.
 */
#pragma once

#include <jansson.h>

#include "request/request_field.h"

int list_set_interfaces(struct draft *draft, const struct field *field, const json_t *value);
int list_set_aliases(struct draft *draft, const struct field *field, const json_t *value);
int list_set_destinations(struct draft *draft, const struct field *field, const json_t *value);
