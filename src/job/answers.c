/*
 * A list of ids, newest first, each with the last event of every capture it started. Look-ups walk a small hash table
 * of chains; both are bounded by ANSWERS_IDS_MAX.
 */
#include "job/answers.h"

#include <string.h>

#include "base/clock.h"
#include "event/event_copy.h"

#define BUCKETS 1024

struct answer {
	struct answer *chain;	      /* same bucket */
	struct answer *older, *newer; /* by age */
	char *id;
	struct event **events; /* one per capture, the latest */
	size_t event_count;
};

struct answers {
	struct answer *buckets[BUCKETS];
	struct answer *newest, *oldest;
	size_t count, event_count;
};

static size_t bucket_of(const char *id)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *id; id++)
		hash = (hash ^ (uint8_t)*id) * 16777619u;
	return hash % BUCKETS;
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

static struct answer *find(const struct answers *answers, const char *id)
{
	struct answer *answer = answers->buckets[bucket_of(id)];
	while (answer && strcmp(answer->id, id) != 0)
		answer = answer->chain;
	return answer;
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
	if (answers->count >= ANSWERS_IDS_MAX)
		forget_oldest(answers);
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
}

static bool same_capture(const struct event *a, const struct event *b)
{
	return a->capture && b->capture ? strcmp(a->capture, b->capture) == 0 : a->capture == b->capture;
}

static void add_event(struct answers *answers, struct answer *answer, struct event *copy)
{
	if (answer->event_count >= ANSWERS_CAPTURES_MAX) {
		event_copy_free(copy);
		return;
	}
	struct event **events = realloc(answer->events, (answer->event_count + 1) * sizeof(*events));
	if (!events) {
		event_copy_free(copy);
		return;
	}
	answer->events = events;
	answer->events[answer->event_count++] = copy;
	answers->event_count++;
	while (answers->event_count > ANSWERS_EVENTS_MAX && answers->oldest != answer)
		forget_oldest(answers);
}

void answers_subscriber(void *ctx, const struct event *event, const char *json)
{
	struct answers *answers = ctx;
	(void)json;
	struct answer *answer = event->id && !event->duplicate ? find(answers, event->id) : NULL;
	if (!answer)
		return;
	struct event *copy = event_copy(event);
	if (!copy)
		return;
	for (size_t i = 0; i < answer->event_count; i++) {
		if (same_capture(answer->events[i], event)) {
			event_copy_free(answer->events[i]);
			answer->events[i] = copy;
			return;
		}
	}
	add_event(answers, answer, copy);
}
