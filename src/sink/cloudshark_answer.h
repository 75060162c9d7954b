/* SPDX-License-Identifier: BSD-2-Clause */
/* What CloudShark answers (https://support.qacafe.com/cloudshark/api/). Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct buffer;

#define CLOUDSHARK_ID_SIZE 129 /* bytes of a capture's id, NUL included */

/* Reads the capture's id from the answer to an upload, {"filename":…,"id":…}; false if there is none that is safe in a
 * link. */
warn_unused bool cloudshark_answer_id(const char *body, size_t size, char id[static CLOUDSHARK_ID_SIZE]);

/* Appends all texts in `exceptions` of a refusal, joined with "; ", up to the buffer's cap. */
void cloudshark_answer_exceptions(const char *body, size_t size, struct buffer *reasons);

enum cloudshark_search {
	CLOUDSHARK_FOUND,
	CLOUDSHARK_ABSENT,
	CLOUDSHARK_UNCLEAR, /* no answer that tells */
};

/* Looks for a file of exactly this name in the answer to a search, {"captures":[{"id":…,"filename":…},…]}. `id` is
 * filled if it is found. */
warn_unused enum cloudshark_search cloudshark_answer_find(const char *body, size_t size, const char *filename,
							  char id[static CLOUDSHARK_ID_SIZE]);
