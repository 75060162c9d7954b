/* SPDX-License-Identifier: BSD-2-Clause */
/* A token that is part of a URL, and all spellings of it that may come back in texts. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

enum token_spelling { TOKEN_PLAIN, TOKEN_ENCODED, TOKEN_LOWER, TOKEN_UPPER, TOKEN_SPELLINGS };

struct token_spellings {
	char *spelled[TOKEN_SPELLINGS]; /* TOKEN_ENCODED: percent-encoded for a URL's path */
};

/* 0 or -ENOMEM; call token_spellings_deinit either way. */
warn_unused int token_spellings_init(struct token_spellings *token, const char *text, size_t size);
void token_spellings_deinit(struct token_spellings *token); /* wipes them */

/* Copies foreign text into `into` (room bytes): without the token, valid UTF-8, cut to size. */
void token_spellings_scrub(const struct token_spellings *token, char *into, size_t room, const char *text);
