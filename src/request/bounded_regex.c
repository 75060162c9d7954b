/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCRE2 with a bound on everything: length, nesting of parentheses, PCRE2's three limits, and the number of expression
 * items tried (counted by automatic callouts). That count is needed because PCRE2's match limit starts over at each
 * position in the text, and ignores steps without backtracking: (?:\K){9000} costs nothing by it. Matching uses the
 * interpreter: compiling to machine code costs more than one match and needs writable code pages.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "request/bounded_regex.h"

#include <errno.h>
#include <pcre2.h>

#define ITEMS_MAX 10000 /* realistic expressions try from tens to a few thousand; (a+)+$ reaches any limit */
#define MATCH_STEPS_MAX ITEMS_MAX
#define MATCH_DEPTH_MAX 500
#define MATCH_HEAP_MAX_KIB 256
#define PARENTHESES_MAX 16 /* nested */

/*
 * Two optimisations are off because no limit covers them and they gain nothing on short texts: compiling
 * \w*\w*(?|){1,60}\R took 8 ms with them (PCRE2 10.42).
 */
#define COMPILE_OPTIONS                                                                                               \
	(PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT | PCRE2_NO_AUTO_POSSESS | \
	 PCRE2_NO_START_OPTIMIZE)

struct bounded_regex {
	pcre2_code *code;
	pcre2_match_context *context;
	pcre2_match_data *data;
	unsigned items; /* tried in this match */
};

CLEANUP_DEFINE(compile_context, pcre2_compile_context, pcre2_compile_context_free)

/* Called before each item is tried. */
static int count_item(pcre2_callout_block *block, void *ctx)
{
	unsigned *items = ctx;

	(void)block;
	return ++*items > ITEMS_MAX ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static int compile(const char *expression, size_t size, pcre2_code **code, struct error *err)
{
	cleanup(cleanup_compile_context) pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_UCHAR reason[128];
	PCRE2_SIZE offset;
	int number;

	if (!context)
		return error_set(err, -ENOMEM, "out of memory");
	pcre2_set_max_pattern_length(context, BOUNDED_REGEX_MAX);
	pcre2_set_parens_nest_limit(context, PARENTHESES_MAX);
	*code = pcre2_compile((PCRE2_SPTR)expression, size, COMPILE_OPTIONS, &number, &offset, context);
	if (*code)
		return 0;
	pcre2_get_error_message(number, reason, sizeof(reason));
	return error_set(err, -EINVAL, "bad expression at byte %zu: %s", offset, (const char *)reason);
}

int bounded_regex_new(const char *expression, size_t size, struct error *err, struct bounded_regex **result)
{
	cleanup(cleanup_bounded_regex) struct bounded_regex *regex = NULL;

	if (!size)
		return error_set(err, -EINVAL, "is empty");
	if (size > BOUNDED_REGEX_MAX)
		return error_set(err, -EINVAL, "is %zu bytes long; the limit is %d", size, BOUNDED_REGEX_MAX);
	regex = calloc(1, sizeof(*regex));
	if (!regex)
		return error_set(err, -ENOMEM, "out of memory");
	const int r = compile(expression, size, &regex->code, err);
	if (r < 0)
		return r;
	regex->context = pcre2_match_context_create(NULL);
	regex->data = pcre2_match_data_create(1, NULL);
	if (!regex->context || !regex->data)
		return error_set(err, -ENOMEM, "out of memory");
	pcre2_set_match_limit(regex->context, MATCH_STEPS_MAX);
	pcre2_set_depth_limit(regex->context, MATCH_DEPTH_MAX);
	pcre2_set_heap_limit(regex->context, MATCH_HEAP_MAX_KIB);
	pcre2_set_callout(regex->context, count_item, &regex->items);
	*result = take(regex);
	return 0;
}

void bounded_regex_free(struct bounded_regex *regex)
{
	if (!regex)
		return;
	pcre2_match_data_free(regex->data);
	pcre2_match_context_free(regex->context);
	pcre2_code_free(regex->code);
	free(regex);
}

int bounded_regex_match(struct bounded_regex *regex, const char *text, size_t size, struct error *err)
{
	PCRE2_UCHAR reason[128];
	int answer;

	regex->items = 0;
	answer = pcre2_match(regex->code, (PCRE2_SPTR)text, size, 0, 0, regex->data, regex->context);
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
