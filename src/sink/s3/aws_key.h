/* SPDX-License-Identifier: BSD-2-Clause */
/* Access keys of AWS, and the forms in which they come. Pure; any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define AWS_KEY_TEXT_MAX 8192 /* bytes of an id, a secret or a session token */

struct aws_key {
	char *id, *secret, *token; /* token NULL: none */
	uint64_t expires_ns;	   /* real time; 0: never */
};

void aws_key_deinit(struct aws_key *key); /* wipes and empties it */

/* Copies. `token` NULL or "": none. 0; -EINVAL with `err` if a text has characters that a key cannot have; -ENOMEM. */
warn_unused int aws_key_init(struct aws_key *key, const char *id, const char *secret, const char *token,
			     struct error *err);

/*
 * The key of a profile in a shared credentials file; "profile NAME" is taken for "NAME", as in ~/.aws/config. 0,
 * -ENOENT (no such profile) or -EINVAL with `err`, or -ENOMEM.
 */
warn_unused int aws_key_from_profile(struct aws_key *key, char *text, const char *profile, struct error *err);

/* From the JSON of a metadata service, which always expires. 0, -EINVAL with `err` (the answer's message), -ENOMEM. */
warn_unused int aws_key_from_json(struct aws_key *key, const char *text, size_t size, struct error *err);

/* From the XML of STS. As above. */
warn_unused int aws_key_from_xml(struct aws_key *key, const char *text, struct error *err);
