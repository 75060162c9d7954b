/*
 * A list of ids, newest first, each with the last event of every capture it started. Look-ups walk a small hash table
 * of chains; both are bounded by ANSWERS_IDS_MAX. Every byte is charged: whatever is added makes room by forgetting
 * the oldest ids; what a single id has beyond its bounds is not remembered.
 */
#include "job/answers.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "event/event_copy.h"
#include "event/event_parse.h"

#define BUCKETS 1024

struct answer {
	struct answer *chain;	      /* same bucket */
	struct answer *older, *newer; /* by age */
	char *id;
	struct event **events; /* one per capture, the latest */
	size_t event_count;
	size_t bytes; /* that it all takes */
};

struct answers {
	struct answer *buckets[BUCKETS];
	struct answer *newest, *oldest;
	size_t count, event_count, bytes;
};

static size_t bucket_of(const char *id)
{
	return hash_text(id) % BUCKETS;
}

struct answers *answers_new(void)
{
	return calloc(1, sizeof(struct answers));
}

static void free_answer(struct answer *answer)
{
	for (size_t i = 0; i < answer->event_count; i++)
		event_copy_free(answer->events[i]);
	free(answer->events);
	free(answer->id);
	free(answer);
}

static void forget_oldest(struct answers *answers)
{
	struct answer *answer = answers->oldest;
	struct answer **at = &answers->buckets[bucket_of(answer->id)];
	while (*at != answer)
		at = &(*at)->chain;
	*at = answer->chain;
	answers->oldest = answer->newer;
	if (answers->oldest)
		answers->oldest->older = NULL;
	else
		answers->newest = NULL;
	answers->count--;
	answers->event_count -= answer->event_count;
	answers->bytes -= answer->bytes;
	free_answer(answer);
}

void answers_free(struct answers *answers)
{
	if (!answers)
		return;
	while (answers->oldest)
		forget_oldest(answers);
	free(answers);
}

size_t answers_bytes(const struct answers *answers)
{
	return answers->bytes;
}

static void charge(struct answers *answers, struct answer *answer, size_t bytes)
{
	answer->bytes += bytes;
	answers->bytes += bytes;
}

static void keep_within_bounds(struct answers *answers)
{
	while (answers->count > ANSWERS_IDS_MAX || answers->event_count > ANSWERS_EVENTS_MAX ||
	       answers->bytes > ANSWERS_BYTES_MAX)
		forget_oldest(answers);
}

static struct answer *find(const struct answers *answers, const char *id)
{
	struct answer *answer = answers->buckets[bucket_of(id)];
	while (answer && strcmp(answer->id, id) != 0)
		answer = answer->chain;
	return answer;
}

bool answers_knows(const struct answers *answers, const char *id)
{
	return find(answers, id);
}

size_t answers_captures(const struct answers *answers, const char *id)
{
	const struct answer *answer = find(answers, id);
	return answer ? answer->event_count : 0;
}

char *answers_json(const struct answers *answers, const char *id)
{
	const struct answer *answer = find(answers, id);
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(ANSWERS_BYTES_MAX);
	int r = answer && answer->event_count ? buffer_append_string(&text, "[") : -ENOENT;
	for (size_t i = 0; r == 0 && i < answer->event_count; i++) {
		cleanup(cleanup_free) char *json = event_json(answer->events[i]);
		r = json ? buffer_printf(&text, "%s%s", i ? "," : "", json) : -ENOMEM;
	}
	if (r == 0)
		r = buffer_append_string(&text, "]");
	return r == 0 ? take(text.data) : NULL;
}

bool answers_restore(struct answers *answers, const char *id, const char *json, size_t size)
{
	json_t *array = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);
	const size_t count = json_array_size(array);
	if (count)
		answers_expect(answers, id);
	for (size_t i = 0; i < count; i++) {
		cleanup(cleanup_free) char *text = json_dumps(json_array_get(array, i), JSON_COMPACT);
		cleanup(cleanup_event_copy) struct event *event = text ? event_parse(text, strlen(text)) : NULL;
		if (event && event->id && strcmp(event->id, id) == 0)
			answers_subscriber(answers, event, text);
	}
	json_decref(array);
	return count;
}

bool answers_visit(const struct answers *answers, const char *id, answers_visitor visit, void *ctx)
{
	const struct answer *answer = find(answers, id);
	if (answer)
		visit(ctx, answer->id, answer->events, answer->event_count);
	return answer;
}

void answers_visit_all(const struct answers *answers, answers_visitor visit, void *ctx)
{
	for (const struct answer *answer = answers->newest; answer; answer = answer->older)
		visit(ctx, answer->id, answer->events, answer->event_count);
}

bool answers_repeat(struct answers *answers, const char *id, struct event_bus *bus)
{
	const struct answer *answer = find(answers, id);
	if (!answer)
		return false;
	for (size_t i = 0; i < answer->event_count; i++) {
		struct event again = *answer->events[i];
		again.duplicate = true;
		again.time_ns = clock_realtime_ns();
		event_bus_publish(bus, &again);
	}
	return true;
}

void answers_expect(struct answers *answers, const char *id)
{
	struct answer *answer = calloc(1, sizeof(*answer));
	if (!answer || !(answer->id = strdup(id))) {
		free(answer);
		return;
	}
	struct answer **bucket = &answers->buckets[bucket_of(id)];
	answer->chain = *bucket;
	*bucket = answer;
	answer->older = answers->newest;
	if (answers->newest)
		answers->newest->newer = answer;
	else
		answers->oldest = answer;
	answers->newest = answer;
	answers->count++;
	charge(answers, answer, sizeof(*answer) + strlen(id) + 1);
	keep_within_bounds(answers);
}

static bool same_capture(const struct event *a, const struct event *b)
{
	return a->capture && b->capture ? strcmp(a->capture, b->capture) == 0 : a->capture == b->capture;
}

/* The place of the event about the same capture, a new one if there is none yet; NULL: there is no room. */
static struct event **place_of(struct answers *answers, struct answer *answer, const struct event *event)
{
	for (size_t i = 0; i < answer->event_count; i++) {
		if (same_capture(answer->events[i], event))
			return &answer->events[i];
	}
	if (answer->event_count >= ANSWERS_CAPTURES_MAX)
		return NULL;
	struct event **events = realloc(answer->events, (answer->event_count + 1) * sizeof(*events));
	if (!events)
		return NULL;
	answer->events = events;
	answer->events[answer->event_count] = NULL;
	answers->event_count++;
	charge(answers, answer, sizeof(*events));
	return &answer->events[answer->event_count++];
}

void answers_subscriber(void *ctx, const struct event *event, const char *json)
{
	struct answers *answers = ctx;
	(void)json;
	struct answer *answer = event->id && !event->duplicate ? find(answers, event->id) : NULL;
	if (!answer)
		return;
	const size_t bytes = event_copy_bytes(event);
	if (answer->bytes + sizeof(*answer->events) + bytes > ANSWERS_BYTES_MAX)
		return;
	cleanup(cleanup_event_copy) struct event *copy = event_copy(event);
	struct event **place = copy ? place_of(answers, answer, event) : NULL;
	if (!place)
		return;
	if (*place) {
		const size_t old = event_copy_bytes(*place);
		answer->bytes -= old;
		answers->bytes -= old;
		event_copy_free(*place);
	}
	*place = take(copy);
	charge(answers, answer, bytes);
	keep_within_bounds(answers);
}
