/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two sources for one list: the reply cache has the latest event of each capture, the table has the live captures and
 * their progress. A capture without an event is still being armed.
 */
#include "job/capture_list.h"

#include <errno.h>
#include <string.h>

#include "job/job.h"
#include "job/reply_cache.h"

struct listing {
	const struct job_table *table;
	const char *only; /* a capture's id; NULL: all captures of the request */
	capture_visitor visit;
	void *ctx;
	size_t count;
};

static struct capture *find_capture(const struct job *job, const char *capture_id)
{
	struct capture *capture = job && capture_id ? job_captures(job) : NULL;
	struct capture_status status;

	for (; capture; capture = capture_next(capture)) {
		capture_get_status(capture, &status);
		if (strcmp(status.id, capture_id) == 0)
			break;
	}
	return capture;
}

static void show_capture(struct listing *listing, const struct capture_view *view)
{
	if (listing->only && (!view->capture || strcmp(listing->only, view->capture) != 0))
		return;
	listing->count++;
	listing->visit(listing->ctx, view);
}

static void add_live_state(struct capture_view *view, const struct capture *capture)
{
	static const char *const states[] = {
		[CAPTURE_ARMING] = "arming", [CAPTURE_RUNNING] = "running", [CAPTURE_DELIVERING] = "delivering"};
	struct capture_status status;

	capture_get_status(capture, &status);
	view->state = states[status.state];
	view->capture = status.id;
	view->interface = status.interface;
	view->packets = status.packets;
	view->bytes = status.bytes;
	view->ends_ns = status.ends_ns;
	view->streamed = status.streamed;
	view->delivered = status.delivered;
}

static const char *state_of_event(const struct event *event)
{
	return event->kind == EVENT_ACCEPTED   ? "running"
	       : event->kind == EVENT_CAPTURED ? "delivering"
					       : event_kind_name(event->kind);
}

static bool has_event(struct event *const *events, size_t event_count, const char *capture_id)
{
	for (size_t i = 0; i < event_count; i++) {
		if (events[i]->capture && strcmp(events[i]->capture, capture_id) == 0)
			return true;
	}
	return false;
}

static void show_request(void *ctx, const char *id, struct event *const *events, size_t event_count)
{
	struct listing *listing = ctx;
	const struct job *job = job_find(listing->table, id);

	for (size_t i = 0; i < event_count; i++) {
		const struct event *event = events[i];
		const bool over = event->kind != EVENT_ACCEPTED && event->kind != EVENT_CAPTURED;
		const struct capture *capture = over ? NULL : find_capture(job, event->capture);
		struct capture_view view = {
			.id = id,
			.capture = event->capture,
			.interface = event->interface,
			.state = state_of_event(event),
			.event = event,
			.packets = event->packets,
			.bytes = event->bytes,
		};

		if (capture)
			add_live_state(&view, capture);
		show_capture(listing, &view);
	}
	for (const struct capture *capture = job ? job_captures(job) : NULL; capture; capture = capture_next(capture)) {
		struct capture_view view = {.id = id};

		add_live_state(&view, capture);
		if (!has_event(events, event_count, view.capture))
			show_capture(listing, &view);
	}
}

void capture_list_visit_all(const struct job_table *table, const struct reply_cache *reply_cache, capture_visitor visit,
			    void *ctx)
{
	struct listing listing = {.table = table, .visit = visit, .ctx = ctx};

	for (const struct job *job = job_first(table); job; job = job_next(job)) {
		if (!reply_cache_knows(reply_cache, job_request(job)->id))
			show_request(&listing, job_request(job)->id, NULL, 0); /* forgotten, but still live */
	}
	reply_cache_visit_all(reply_cache, show_request, &listing);
}

/* A capture's id is its request's id, a dot and a number. */
static bool request_id_of(const char *capture_id, char id[static REQUEST_ID_SIZE])
{
	const char *dot = strrchr(capture_id, '.');

	if (!dot || (size_t)(dot - capture_id) >= REQUEST_ID_SIZE)
		return false;
	snprintf(id, REQUEST_ID_SIZE, "%.*s", (int)(dot - capture_id), capture_id);
	return true;
}

static bool walk_request(struct listing *listing, const struct reply_cache *reply_cache, const char *id)
{
	if (reply_cache_visit(reply_cache, id, show_request, listing))
		return true;
	if (!job_find(listing->table, id))
		return false;
	show_request(listing, id, NULL, 0);
	return true;
}

size_t capture_list_visit(const struct job_table *table, const struct reply_cache *reply_cache, const char *id,
			  capture_visitor visit, void *ctx)
{
	struct listing listing = {.table = table, .visit = visit, .ctx = ctx};
	char request[REQUEST_ID_SIZE];

	if (walk_request(&listing, reply_cache, id) || !request_id_of(id, request))
		return listing.count;
	listing.only = id;
	walk_request(&listing, reply_cache, request);
	return listing.count;
}

static void ignore_capture(void *ctx, const struct capture_view *view)
{
	(void)ctx;
	(void)view;
}

int capture_list_stop(const struct job_table *table, const struct reply_cache *reply_cache, const char *id)
{
	char request[REQUEST_ID_SIZE];
	int stopped = 0;

	if (!capture_list_visit(table, reply_cache, id, ignore_capture, NULL))
		return -ENOENT;
	const struct job *job = job_find(table, id);
	for (struct capture *capture = job ? job_captures(job) : NULL; capture; capture = capture_next(capture))
		stopped += capture_stop(capture);
	if (job || !request_id_of(id, request))
		return stopped;
	struct capture *capture = find_capture(job_find(table, request), id);
	return capture && capture_stop(capture) ? 1 : 0;
}
