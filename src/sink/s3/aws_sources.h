/* SPDX-License-Identifier: BSD-2-Clause */
/* Where access keys come from, besides the configuration; part of aws_credentials.h. Loop thread; none blocks. */
#pragma once

#include <stdbool.h>

struct aws_credentials_options;
struct aws_key;
struct aws_sources;
struct event_base;

/* Called once for each search, from the loop. `error` NULL: the key, which the callee empties or copies. */
typedef void (*aws_sources_found)(void *ctx, const char *source, struct aws_key *key, const char *error);

/* Texts are copied. NULL on ENOMEM. */
struct aws_sources *aws_sources_new(struct event_base *loop, const struct aws_credentials_options *options,
				    aws_sources_found found, void *ctx);
void aws_sources_free(struct aws_sources *sources); /* `found` is not called any more */

/* Starts a search; the one before it must have ended. May call `found` before it returns. */
void aws_sources_search(struct aws_sources *sources);

bool aws_sources_is_file(const char *source);  /* a key of it may be replaced at any time */
bool aws_sources_is_fixed(const char *source); /* another search would find the same key */
