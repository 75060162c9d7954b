/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a request is for this node. Its expression comes from outside and runs before any other field is checked, so
 * its cost is capped: length, nesting of parentheses, PCRE2's three limits, and the number of expression items tried
 * (counted by automatic callouts). That count is needed because PCRE2's match limit starts over at each position in the
 * name, and ignores steps without backtracking: (?:\K){9000} costs nothing by it. Matching uses the interpreter:
 * compiling to machine code costs more than one match and needs writable code pages.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "request/request_node.h"

#include <errno.h>
#include <pcre2.h>
#include <string.h>

#define ITEMS_MAX 10000 /* realistic expressions try from tens to a few thousand; (a+)+$ reaches any limit */
#define MATCH_STEPS_MAX ITEMS_MAX
#define MATCH_DEPTH_MAX 500
#define MATCH_HEAP_MAX_KIB 256
#define PARENTHESES_MAX 16 /* nested */

/*
 * Two optimisations are off because no limit covers them and they gain nothing on a host name: compiling
 * \w*\w*(?|){1,60}\R took 8 ms with them (PCRE2 10.42).
 */
#define COMPILE_OPTIONS                                                                                               \
	(PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT | PCRE2_NO_AUTO_POSSESS | \
	 PCRE2_NO_START_OPTIMIZE)

CLEANUP_DEFINE(compile_context, pcre2_compile_context, pcre2_compile_context_free)
CLEANUP_DEFINE(match_context, pcre2_match_context, pcre2_match_context_free)
CLEANUP_DEFINE(match_data, pcre2_match_data, pcre2_match_data_free)
CLEANUP_DEFINE(code, pcre2_code, pcre2_code_free)

bool request_node_is_named(const char *name, size_t size, const char *node)
{
	return (size == strlen(node) && memcmp(name, node, size) == 0) || (size == 3 && memcmp(name, "any", 3) == 0);
}

static int compile(const char *expression, size_t size, pcre2_code **code, struct error *err)
{
	cleanup(cleanup_compile_context) pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_UCHAR reason[128];
	PCRE2_SIZE offset;
	int number;

	if (!context)
		return error_set(err, -ENOMEM, "out of memory");
	pcre2_set_max_pattern_length(context, NODE_EXPRESSION_MAX);
	pcre2_set_parens_nest_limit(context, PARENTHESES_MAX);
	*code = pcre2_compile((PCRE2_SPTR)expression, size, COMPILE_OPTIONS, &number, &offset, context);
	if (*code)
		return 0;
	pcre2_get_error_message(number, reason, sizeof(reason));
	return error_set(err, -EINVAL, "bad expression at byte %zu: %s", offset, (const char *)reason);
}

/* Called before each item is tried. */
static int count_item(pcre2_callout_block *block, void *ctx)
{
	unsigned *items = ctx;

	(void)block;
	return ++*items > ITEMS_MAX ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static int match(const pcre2_code *code, const char *node, struct error *err)
{
	cleanup(cleanup_match_context) pcre2_match_context *context = pcre2_match_context_create(NULL);
	cleanup(cleanup_match_data) pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	PCRE2_UCHAR reason[128];
	unsigned items = 0;
	int answer;

	if (!context || !data)
		return error_set(err, -ENOMEM, "out of memory");
	pcre2_set_match_limit(context, MATCH_STEPS_MAX);
	pcre2_set_depth_limit(context, MATCH_DEPTH_MAX);
	pcre2_set_heap_limit(context, MATCH_HEAP_MAX_KIB);
	pcre2_set_callout(context, count_item, &items);
	answer = pcre2_match(code, (PCRE2_SPTR)node, strlen(node), 0, 0, data, context);
	switch (answer) {
	case PCRE2_ERROR_NOMATCH:
		return 0;
	case PCRE2_ERROR_MATCHLIMIT:
	case PCRE2_ERROR_DEPTHLIMIT:
	case PCRE2_ERROR_HEAPLIMIT:
		return error_set(err, -EINVAL, "expression is too expensive");
	case PCRE2_ERROR_NOMEMORY:
		return error_set(err, -ENOMEM, "out of memory");
	}
	if (answer >= 0)
		return 1;
	pcre2_get_error_message(answer, reason, sizeof(reason));
	return error_set(err, -EINVAL, "expression cannot be matched: %s", (const char *)reason);
}

int request_node_matches(const char *expression, size_t size, const char *node, struct error *err)
{
	cleanup(cleanup_code) pcre2_code *code = NULL;
	int r;

	if (!size)
		return error_set(err, -EINVAL, "is empty");
	if (size > NODE_EXPRESSION_MAX)
		return error_set(err, -EINVAL, "is %zu bytes long; the limit is %d", size, NODE_EXPRESSION_MAX);
	r = compile(expression, size, &code, err);
	return r < 0 ? r : match(code, node, err);
}
