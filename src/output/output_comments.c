/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by files that are made when a capture has ended and by those that are read while it runs. */
#include "output/output_comments.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "request/request.h"

bool output_comments_add(struct output_comments *comments, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *text = NULL;
	const int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return false;
	comments->texts[comments->count++] = text;
	return true;
}

/* The filter, which is each interface's, is in their blocks. */
static bool add_limits(struct output_comments *comments, const struct request *request)
{
	char idle[64] = "";

	if (request->idle_ns)
		snprintf(idle, sizeof(idle), ", idle %.12g s", (double)request->idle_ns / NS_PER_S);
	return output_comments_add(comments, "limits: %llu packets, %llu bytes, %u bytes a packet, %.12g s%s",
				   (unsigned long long)request->packets, (unsigned long long)request->bytes,
				   request->snap, (double)request->duration_ns / NS_PER_S, idle);
}

bool output_comments_add_request(struct output_comments *comments, const struct request *request, const char *tags)
{
	bool ok = !request->comment || output_comments_add(comments, "%s", request->comment);

	ok = ok && output_comments_add(comments, "request: %s", request->json);
	ok = ok && output_comments_add(comments, "tags: %s", tags);
	if (request->customer)
		ok = ok && output_comments_add(comments, "customer: %s", request->customer);
	if (request->alertid)
		ok = ok && output_comments_add(comments, "alertid: %s", request->alertid);
	if (request->origin)
		ok = ok && output_comments_add(comments, "origin: %s", request->origin);
	if (request->rule)
		ok = ok && output_comments_add(comments, "asked for by the alert rule: %s", request->rule);
	ok = ok && add_limits(comments, request);
	if (request_key_name(request))
		ok = ok && output_comments_add(comments, "signed with the key: %s", request_key_name(request));
	return ok;
}

void output_comments_deinit(struct output_comments *comments)
{
	while (comments->count)
		free(comments->texts[--comments->count]);
}
