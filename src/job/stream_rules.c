/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of several interfaces are put in order while they come, by a window of a quarter of a second
 * (output/live_output.h). What comes from recorders does not come in that order, so several interfaces of the past do
 * not go into one streamed file.
 */
#include "job/stream_rules.h"

#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "job/capture_stream.h"
#include "request/request.h"
#include "sink/delivery.h"
#include "sink/sink.h"

/* A destination that takes no files that grow; NULL: each does. `*count`: of all. */
static const char *find_unable(const struct deliveries *deliveries, const struct request *request, size_t *count)
{
	const char *names[SINKS_MAX];
	const size_t name_count = deliveries_destination_names(deliveries, names);
	const size_t all = request->destinations ? request->destination_count : name_count;

	*count = 0;
	for (size_t i = 0; i < all; i++) {
		const char *name = request->destinations ? request->destinations[i] : names[i];
		const struct sink *sink = deliveries_sink(deliveries, name);

		if (!sink || (!request->destinations && sink->on_request))
			continue;
		++*count;
		if (!sink_can_grow(sink))
			return name;
	}
	return NULL;
}

/* A fallback order begins a file anew at the next destination, so it needs the whole of it. */
static bool falls_back(const struct config *config, const struct request *request)
{
	return request->first_of_count || (!request->destinations && config->general.first_of.count);
}

static bool merges_the_past(const struct request *request)
{
	const bool several =
		request->interface_count > 1 || request->follow || strcmp(request->interfaces[0].name, "any") == 0;
	const bool past = request->before_ns || (request->from_ns && request->from_ns < request->received_ns) ||
			  request->published_ns;

	return request->merge && several && past;
}

bool stream_rules_want(const struct config *config, const struct deliveries *deliveries, const struct request *request)
{
	size_t count;

	return !request->live && request->bytes_given && request->bytes > config->limits.memory_bytes &&
	       config->limits.memory_bytes >= CAPTURE_STREAM_MEMORY_MIN && request->format == REQUEST_FORMAT_PCAPNG &&
	       !request->drop_duplicates && !request->packetdebug && !merges_the_past(request) &&
	       !falls_back(config, request) && !find_unable(deliveries, request, &count) && count > 0;
}

int stream_rules_check(const struct config *config, const struct deliveries *deliveries, const struct request *request,
		       const char **field, struct error *err)
{
	size_t count;
	const char *unable = find_unable(deliveries, request, &count);

	*field = "stream";
	if (config->limits.memory_bytes < CAPTURE_STREAM_MEMORY_MIN)
		return error_set(err, -EINVAL, "stream: needs limits.memory of at least %u MiB",
				 CAPTURE_STREAM_MEMORY_MIN >> 20);
	if (falls_back(config, request))
		return error_set(err, -EINVAL,
				 "stream: first_of goes with whole files only; name destinations in to_destinations");
	if (unable)
		return error_set(
			err, -EINVAL,
			"stream: the destination \"%s\" takes whole files only; name others in to_destinations",
			unable);
	if (!count)
		return error_set(err, -EINVAL, "stream: there is no destination");
	if (merges_the_past(request))
		return error_set(err, -EINVAL,
				 "stream: packets of several interfaces from before the request cannot be put into one "
				 "streamed file; leave out merge, or the past");
	return 0;
}
