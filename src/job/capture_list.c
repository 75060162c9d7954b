/*
 * Two sources for one list: the reply cache has the latest event of each capture, the book has what lives and how far
 * it has come. A capture without an event is still being armed.
 */
#include "job/capture_list.h"

#include <errno.h>
#include <string.h>

#include "job/job.h"
#include "job/reply_cache.h"

struct walk {
	const struct job_book *book;
	const char *only; /* a capture's id; NULL: all of the request */
	capture_visitor visit;
	void *ctx;
	size_t count;
};

static struct capture *find_capture(const struct job *job, const char *capture_id)
{
	struct capture *capture = job && capture_id ? job_captures(job) : NULL;
	struct capture_status look;
	for (; capture; capture = capture_next(capture)) {
		capture_get_status(capture, &look);
		if (strcmp(look.id, capture_id) == 0)
			break;
	}
	return capture;
}

static void show(struct walk *walk, const struct capture_view *view)
{
	if (walk->only && (!view->capture || strcmp(walk->only, view->capture) != 0))
		return;
	walk->count++;
	walk->visit(walk->ctx, view);
}

static void add_live(struct capture_view *view, const struct capture *capture)
{
	static const char *const states[] = {
		[CAPTURE_ARMING] = "arming", [CAPTURE_RUNNING] = "running", [CAPTURE_DELIVERING] = "delivering"};
	struct capture_status look;
	capture_get_status(capture, &look);
	view->state = states[look.state];
	view->capture = look.id;
	view->interface = look.interface;
	view->packets = look.packets;
	view->bytes = look.bytes;
	view->ends_ns = look.ends_ns;
}

static const char *state_of(const struct event *event)
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
	struct walk *walk = ctx;
	const struct job *job = job_find(walk->book, id);
	for (size_t i = 0; i < event_count; i++) {
		const struct event *event = events[i];
		const bool over = event->kind != EVENT_ACCEPTED && event->kind != EVENT_CAPTURED;
		const struct capture *capture = over ? NULL : find_capture(job, event->capture);
		struct capture_view view = {
			.id = id,
			.capture = event->capture,
			.interface = event->interface,
			.state = state_of(event),
			.event = event,
			.packets = event->packets,
			.bytes = event->bytes,
		};
		if (capture)
			add_live(&view, capture);
		show(walk, &view);
	}
	for (const struct capture *capture = job ? job_captures(job) : NULL; capture; capture = capture_next(capture)) {
		struct capture_view view = {.id = id};
		add_live(&view, capture);
		if (!has_event(events, event_count, view.capture))
			show(walk, &view);
	}
}

void capture_list_visit_all(const struct job_book *book, const struct reply_cache *reply_cache, capture_visitor visit,
			    void *ctx)
{
	struct walk walk = {.book = book, .visit = visit, .ctx = ctx};
	for (const struct job *job = job_first(book); job; job = job_next(job)) {
		if (!reply_cache_knows(reply_cache, job_request(job)->id))
			show_request(&walk, job_request(job)->id, NULL, 0); /* forgotten, but it lives */
	}
	reply_cache_visit_all(reply_cache, show_request, &walk);
}

/* A capture's id is its request's with a dot and a number behind it. */
static bool request_of(const char *capture_id, char id[static REQUEST_ID_SIZE])
{
	const char *dot = strrchr(capture_id, '.');
	if (!dot || (size_t)(dot - capture_id) >= REQUEST_ID_SIZE)
		return false;
	snprintf(id, REQUEST_ID_SIZE, "%.*s", (int)(dot - capture_id), capture_id);
	return true;
}

static bool walk_request(struct walk *walk, const struct reply_cache *reply_cache, const char *id)
{
	if (reply_cache_visit(reply_cache, id, show_request, walk))
		return true;
	if (!job_find(walk->book, id))
		return false;
	show_request(walk, id, NULL, 0);
	return true;
}

size_t capture_list_visit(const struct job_book *book, const struct reply_cache *reply_cache, const char *id,
			  capture_visitor visit, void *ctx)
{
	struct walk walk = {.book = book, .visit = visit, .ctx = ctx};
	char request[REQUEST_ID_SIZE];
	if (walk_request(&walk, reply_cache, id) || !request_of(id, request))
		return walk.count;
	walk.only = id;
	walk_request(&walk, reply_cache, request);
	return walk.count;
}

static void note_known(void *ctx, const struct capture_view *view)
{
	(void)ctx;
	(void)view;
}

int capture_list_stop(const struct job_book *book, const struct reply_cache *reply_cache, const char *id)
{
	char request[REQUEST_ID_SIZE];
	int stopped = 0;
	if (!capture_list_visit(book, reply_cache, id, note_known, NULL))
		return -ENOENT;
	const struct job *job = job_find(book, id);
	for (struct capture *capture = job ? job_captures(job) : NULL; capture; capture = capture_next(capture))
		stopped += capture_stop(capture);
	if (job || !request_of(id, request))
		return stopped;
	struct capture *capture = find_capture(job_find(book, request), id);
	return capture && capture_stop(capture) ? 1 : 0;
}
