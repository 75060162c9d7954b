/*
 * Two sources for one list: the answers have the latest event of each capture, the book has what lives and how far it
 * has come. A leg without an event is still being armed.
 */
#include "job/captures.h"

#include <errno.h>
#include <string.h>

#include "job/answers.h"
#include "job/job.h"

struct walk {
	const struct job_book *book;
	const char *only; /* a capture's id; NULL: all of the request */
	capture_visitor visit;
	void *ctx;
	size_t count;
};

static struct leg *find_leg(const struct job *job, const char *capture)
{
	struct leg *leg = job && capture ? job_legs(job) : NULL;
	struct leg_view look;
	for (; leg; leg = leg_next(leg)) {
		leg_look(leg, &look);
		if (strcmp(look.capture, capture) == 0)
			break;
	}
	return leg;
}

static void show(struct walk *walk, const struct capture_view *view)
{
	if (walk->only && (!view->capture || strcmp(walk->only, view->capture) != 0))
		return;
	walk->count++;
	walk->visit(walk->ctx, view);
}

static void add_live(struct capture_view *view, const struct leg *leg)
{
	static const char *const states[] = {
		[LEG_ARMING] = "arming", [LEG_RUNNING] = "running", [LEG_DELIVERING] = "delivering"};
	struct leg_view look;
	leg_look(leg, &look);
	view->state = states[look.state];
	view->capture = look.capture;
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

static bool has_event(struct event *const *events, size_t event_count, const char *capture)
{
	for (size_t i = 0; i < event_count; i++) {
		if (events[i]->capture && strcmp(events[i]->capture, capture) == 0)
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
		const struct leg *leg = over ? NULL : find_leg(job, event->capture);
		struct capture_view view = {
			.id = id,
			.capture = event->capture,
			.interface = event->interface,
			.state = state_of(event),
			.event = event,
			.packets = event->packets,
			.bytes = event->bytes,
		};
		if (leg)
			add_live(&view, leg);
		show(walk, &view);
	}
	for (const struct leg *leg = job ? job_legs(job) : NULL; leg; leg = leg_next(leg)) {
		struct capture_view view = {.id = id};
		add_live(&view, leg);
		if (!has_event(events, event_count, view.capture))
			show(walk, &view);
	}
}

void captures_visit_all(const struct job_book *book, const struct answers *answers, capture_visitor visit, void *ctx)
{
	struct walk walk = {.book = book, .visit = visit, .ctx = ctx};
	for (const struct job *job = job_first(book); job; job = job_next(job)) {
		if (!answers_knows(answers, job_request(job)->id))
			show_request(&walk, job_request(job)->id, NULL, 0); /* forgotten, but it lives */
	}
	answers_visit_all(answers, show_request, &walk);
}

/* A capture's id is its request's with a dot and a number behind it. */
static bool request_of(const char *capture, char id[static REQUEST_ID_SIZE])
{
	const char *dot = strrchr(capture, '.');
	if (!dot || (size_t)(dot - capture) >= REQUEST_ID_SIZE)
		return false;
	snprintf(id, REQUEST_ID_SIZE, "%.*s", (int)(dot - capture), capture);
	return true;
}

static bool walk_request(struct walk *walk, const struct answers *answers, const char *id)
{
	if (answers_visit(answers, id, show_request, walk))
		return true;
	if (!job_find(walk->book, id))
		return false;
	show_request(walk, id, NULL, 0);
	return true;
}

size_t captures_visit(const struct job_book *book, const struct answers *answers, const char *id, capture_visitor visit,
		      void *ctx)
{
	struct walk walk = {.book = book, .visit = visit, .ctx = ctx};
	char request[REQUEST_ID_SIZE];
	if (walk_request(&walk, answers, id) || !request_of(id, request))
		return walk.count;
	walk.only = id;
	walk_request(&walk, answers, request);
	return walk.count;
}

static void note_known(void *ctx, const struct capture_view *view)
{
	(void)ctx;
	(void)view;
}

int captures_stop(const struct job_book *book, const struct answers *answers, const char *id)
{
	char request[REQUEST_ID_SIZE];
	int stopped = 0;
	if (!captures_visit(book, answers, id, note_known, NULL))
		return -ENOENT;
	const struct job *job = job_find(book, id);
	for (struct leg *leg = job ? job_legs(job) : NULL; leg; leg = leg_next(leg))
		stopped += leg_stop(leg);
	if (job || !request_of(id, request))
		return stopped;
	struct leg *leg = find_leg(job_find(book, request), id);
	return leg && leg_stop(leg) ? 1 : 0;
}
