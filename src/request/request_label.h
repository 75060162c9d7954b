/* SPDX-License-Identifier: BSD-2-Clause */
/* How the sender of a message labelled it: for the event of a request that is refused before it is a struct request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct request_label {
	char *tags, *customer, *alertid, *rule; /* NULL: not given, or not valid */
	bool alertid_is_integer;
};

/* Reads what can be read; fields that a request could not have are left out. Call request_label_deinit. */
void request_label_read(const void *bytes, size_t size, struct request_label *label);
void request_label_deinit(struct request_label *label);
