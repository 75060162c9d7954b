/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The secrets of one destination, which no log line, event or error may show: tokens, passwords, and what is secret in
 * a URL. Loop thread, or any one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define SCRUB_TEXTS_MAX 128 /* spellings of secrets; the oldest give way to those of secrets that were replaced */

struct scrub {
	char *texts[SCRUB_TEXTS_MAX];
	size_t used; /* ever: the next goes to index used % SCRUB_TEXTS_MAX */
};

/* Zeroed before use. 0 or -ENOMEM. An empty text hides nothing. */
warn_unused int scrub_add(struct scrub *scrub, const char *secret);

/*
 * Adds a URL's user and password and the values of its query, each of four bytes or more; with `path`, its path as
 * well, for URLs that are secrets as a whole (chat webhooks). Placeholders (base/name_template.h) are left out.
 */
warn_unused int scrub_add_url(struct scrub *scrub, const char *url, bool path);

/* Adds the value of a header, "Name: value", which may be a key: one of eight bytes or more, without placeholders. */
warn_unused int scrub_add_header(struct scrub *scrub, const char *header);

void scrub_deinit(struct scrub *scrub);

/* Copies foreign text into `into` (`room` bytes): without the secrets, as valid UTF-8, cut to size. */
void scrub_put(const struct scrub *scrub, char *into, size_t room, const char *text);

/* The URL without user, password, query and fragment. The caller frees; NULL on ENOMEM. */
char *scrub_url(const char *url);
