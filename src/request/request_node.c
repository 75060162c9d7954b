/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a request is for this node. Its expression comes from outside and runs before any other field is checked, so
 * its cost is capped (bounded_regex.h).
 */
#include "request/request_node.h"

#include <string.h>

#include "request/bounded_regex.h"

bool request_node_is_named(const char *name, size_t size, const char *node)
{
	return (size == strlen(node) && memcmp(name, node, size) == 0) || (size == 3 && memcmp(name, "any", 3) == 0);
}

int request_node_matches(const char *expression, size_t size, const char *node, struct error *err)
{
	cleanup(cleanup_bounded_regex) struct bounded_regex *regex = NULL;
	const int r = bounded_regex_new(expression, size, err, &regex);

	return r < 0 ? r : bounded_regex_match(regex, node, strlen(node), err);
}
