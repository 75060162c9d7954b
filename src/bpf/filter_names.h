/* SPDX-License-Identifier: BSD-2-Clause */
/* An expression's words as libpcap's scanner splits them, and which of them libpcap would look up. Part of bpf, except
 * for filter_may_resolve_names() in filter.h. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum filter_word {
	FILTER_WORD_SYMBOL, /* an operator, a bracket, or a character that no expression has */
	FILTER_WORD_KEYWORD,
	FILTER_WORD_NUMBER, /* or an address */
	FILTER_WORD_PLAIN,  /* a name that is not looked up, as of an interface */
	/* Names that are looked up: a host or network, which a name server may be asked for; the others in files. */
	FILTER_WORD_HOST,
	FILTER_WORD_PORT,
	FILTER_WORD_PORT_RANGE,
	FILTER_WORD_PROTOCOL,
};

/* The word last scanned; the rest is internal. */
struct filter_scanner {
	const char *word; /* in the expression */
	size_t length;
	enum filter_word kind;
	enum filter_word names; /* what a name is here */
	bool plain;		/* unless it comes next */
};

/* Before the first word. The expression must outlive it. */
struct filter_scanner filter_scan(const char *expression);
/* Goes to the next word; at the end false, with an empty word there. A word that is a mistake may count as a host. */
bool filter_scan_next(struct filter_scanner *scanner);
/* Whether the word is this one, in lower case as all keywords are. */
bool filter_scan_is(const struct filter_scanner *scanner, const char *word);

/* The first FILTER_WORD_HOST of the expression (NULL: none), or NULL. */
const char *filter_find_host_name(const char *expression, size_t *length);
