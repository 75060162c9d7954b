/* SPDX-License-Identifier: BSD-2-Clause */
/* The fields that replace the configuration of S3: only those that [s3] allow_override lists. */
#pragma once

#include "request/request_field.h"

/* A setter, see request_value.h. */
int request_s3_set(struct request_draft *draft, const struct request_field *field, const json_t *value);

size_t request_s3_bytes(const struct request_s3 *s3);
void request_s3_deinit(struct request_s3 *s3);
