/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In: spool_put → thread: file and state to the directory → `spooled`.
 *
 * Out: the timer begins a round over all entries, the oldest first, one at a time:
 *
 *     thread: read the state, open the file → loop: one attempt for each destination that is left
 *       → thread: remove the entry, or write what is left into its state → the next entry
 *
 * A destination that fails is not tried again in the same round: it is down, and a round asks it once. The rounds
 * become rarer while nothing is taken.
 *
 * The state is JSON: {"v":1,"stored":NANOSECONDS,"pending":[NAMES],"comment":TEXT,"overrides":{…},"event":EVENT}.
 */
#include "job/spool.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <jansson.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/offload.h"
#include "event/event_bus.h"
#include "event/event_copy.h"
#include "event/event_parse.h"

#define QUEUE_MAX 70000 /* as many captures as may run, and the entry under way */
#define INTERVAL_NS (10 * NS_PER_S)
#define INTERVAL_FACTOR_MAX 30
#define FIRST_ROUND_MS 1000 /* after start: connections come up first */
#define STATE_VERSION 1
#define ERROR_SIZE 1024

/* A file on its way in. */
struct incoming {
	struct offload_task task;
	struct spool *spool;
	const struct sink_file *file;
	struct byte_stream stream;
	struct event *event;
	char *state;
	char *pending[SINKS_MAX];
	size_t pending_count;
	int result;
	struct error error;
	void (*done)(void *ctx);
	void *ctx;
};

/* The entry that is being taken up. The thread fills it and the loop uses it, never both at a time. */
struct entry {
	struct offload_task task;
	struct spool *spool;
	const char *name;
	char *state; /* NULL: it cannot be read */
	struct event *event;
	json_t *details; /* the state without its event: comment, overrides */
	uint64_t stored_ns;
	char *pending[SINKS_MAX];
	size_t pending_count;
	char *targets[SINKS_MAX]; /* of the pending ones; not owned */
	size_t target_count;
	int fd; /* its file; -1: not open, or -errno */
	uint64_t size_bytes;
	struct sink_file file;
	struct delivery *delivery;
	bool over;  /* its final event was published */
	int result; /* of settling it */
};

struct spool {
	struct spool_options options;
	struct spool_directory *directory;
	struct offload *offload;
	struct event *timer;
	atomic_bool stop_writing, stop_reading;
	uint64_t interval_ns;
	size_t incoming_count;

	json_t *stuck; /* keys: entries that were delivered, but could not be settled; left alone until the next start
			*/
	bool settling; /* an entry that is delivered is being removed */

	/* A round. */
	bool round;   /* one is under way, */
	bool came_in; /* and entries came in that it may not have */
	struct offload_task listing;
	char (*names)[NAME_MAX + 1];
	size_t name_count, next;
	const char *down[SINKS_MAX]; /* destinations that failed in it; the deliveries' own names */
	size_t down_count;
	bool took_some, some_left;
	struct entry entry;
};

CLEANUP_DEFINE(json, json_t, json_decref)

/* --- the state --- */

static json_t *names_json(char *const *names, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(names[i]));
	return array;
}

/* What the event does not have of a file. */
static json_t *details_json(const struct sink_file *file)
{
	const struct sink_overrides *overrides = &file->overrides;

	return json_pack("{ss* ss* s{ss* ss* ss* ss* ss* ss*}}", "comment", file->comment, "filter", file->filter,
			 "overrides", "bucket", overrides->bucket, "folder", overrides->folder, "region",
			 overrides->region, "endpoint", overrides->endpoint, "acl", overrides->acl, "encryption",
			 overrides->encryption);
}

/* NULL on ENOMEM; the caller frees it. */
static char *write_state(const struct event *event, uint64_t stored_ns, json_t *details, char *const *pending,
			 size_t pending_count)
{
	cleanup(cleanup_free) char *event_text = event_json(event);
	json_t *event_object = event_text ? json_loads(event_text, 0, NULL) : NULL;
	cleanup(cleanup_json) json_t *state =
		json_pack("{si sI so so}", "v", STATE_VERSION, "stored", (json_int_t)stored_ns, "pending",
			  names_json(pending, pending_count), "event", event_object);

	if (!state || json_object_update_missing(state, details) < 0)
		return NULL;
	return json_dumps(state, JSON_COMPACT);
}

static void free_entry(struct entry *entry)
{
	if (entry->fd >= 0)
		close(entry->fd);
	for (size_t i = 0; i < entry->pending_count; i++)
		free(entry->pending[i]);
	event_copy_free(entry->event);
	json_decref(entry->details);
	free(entry->state);
	*entry = (struct entry){.spool = entry->spool, .fd = -1};
}

/* False: it is not a state. */
static bool read_state(struct entry *entry)
{
	cleanup(cleanup_json) json_t *state = json_loads(entry->state, JSON_REJECT_DUPLICATES, NULL);
	const json_t *pending = json_object_get(state, "pending"), *name;
	cleanup(cleanup_free) char *event = json_dumps(json_object_get(state, "event"), JSON_COMPACT);
	size_t index;

	if (json_integer_value(json_object_get(state, "v")) != STATE_VERSION || !event)
		return false;
	entry->stored_ns = (uint64_t)json_integer_value(json_object_get(state, "stored"));
	entry->event = event_parse(event, strlen(event));
	entry->details = json_pack("{sO* sO* sO* sO*}", "comment", json_object_get(state, "comment"), "filter",
				   json_object_get(state, "filter"), "overrides", json_object_get(state, "overrides"),
				   "copies", json_object_get(state, "copies"));
	json_array_foreach(pending, index, name)
	{
		char *copy = json_is_string(name) && entry->pending_count < SINKS_MAX ? strdup(json_string_value(name))
										      : NULL;

		if (copy)
			entry->pending[entry->pending_count++] = copy;
	}
	return entry->event && entry->details && entry->event->id && entry->event->capture && entry->pending_count;
}

/* --- in --- */

/*
 * Whether the file waits for this destination: it may yet take it, and if it is one of a fallback order, no other one
 * of it has the file, and it is the first of them that may. The results of an order follow each other; all but the last
 * are superseded.
 */
static bool is_wanted(const struct delivery_result *results, size_t count, size_t index)
{
	size_t first = index, last = index;

	if (!results[index].gave_up)
		return false;
	while (first > 0 && results[first - 1].superseded)
		first--;
	while (last + 1 < count && results[last].superseded)
		last++;
	for (size_t i = first; i <= last; i++) {
		if (results[i].ok || (i < index && results[i].gave_up))
			return false;
	}
	return true;
}

bool spool_wants(const struct delivery_result *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_wanted(results, count, i))
			return true;
	}
	return false;
}

static void free_incoming(struct incoming *incoming)
{
	for (size_t i = 0; i < incoming->pending_count; i++)
		free(incoming->pending[i]);
	event_copy_free(incoming->event);
	free(incoming->state);
	free(incoming);
}

CLEANUP_DEFINE(incoming, struct incoming, free_incoming)

static void write_entry(struct offload_task *task)
{
	struct incoming *incoming = container_of(task, struct incoming, task);
	struct spool *spool = incoming->spool;

	incoming->result =
		spool_directory_put(spool->directory, incoming->file->name, &incoming->stream, incoming->state,
				    spool->options.max_bytes, &spool->stop_writing, &incoming->error);
}

static void wait_for_round(struct spool *spool, uint64_t wait_ns)
{
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000)};

	if (!atomic_load(&spool->stop_reading) && !spool->round && !evtimer_pending(spool->timer, NULL))
		evtimer_add(spool->timer, &wait);
}

/* Puts the reason behind the errors of the destinations that the file waited for. */
static void publish_refused(const struct incoming *incoming)
{
	struct event_destination destinations[SINKS_MAX];
	char errors[SINKS_MAX][ERROR_SIZE];
	struct event event = *incoming->event;

	for (size_t i = 0; i < event.destination_count && i < SINKS_MAX; i++) {
		destinations[i] = event.destinations[i];
		for (size_t j = 0; j < incoming->pending_count; j++) {
			if (strcmp(destinations[i].name, incoming->pending[j]) != 0)
				continue;
			snprintf(errors[i], sizeof(errors[i]), "%.400s; not kept: %.500s", destinations[i].error,
				 incoming->error.text);
			destinations[i].error = errors[i];
		}
	}
	event.kind = EVENT_FAILED;
	event.destinations = destinations;
	event_bus_publish(incoming->spool->options.bus, &event);
}

static void on_entry_written(struct offload_task *task)
{
	cleanup(cleanup_incoming) struct incoming *incoming = container_of(task, struct incoming, task);
	struct spool *spool = incoming->spool;

	incoming->file->close(incoming->file->ctx, &incoming->stream);
	spool->incoming_count--;
	if (incoming->result == 0) {
		event_bus_publish(spool->options.bus, incoming->event);
		spool->came_in = true;
		wait_for_round(spool, spool->interval_ns);
	} else {
		log_error("not-spooled", log_str("request", incoming->event->id), log_str("file", incoming->file->name),
			  log_str("error", incoming->error.text));
		publish_refused(incoming);
	}
	incoming->done(incoming->ctx);
}

int spool_put(struct spool *spool, const struct sink_file *file, const struct event *event,
	      const struct delivery_result *results, size_t count, void (*done)(void *ctx), void *ctx)
{
	cleanup(cleanup_incoming) struct incoming *incoming = calloc(1, sizeof(*incoming));
	unsigned copies = 0;

	if (!incoming || !file->open) /* a streamed file is gone by now */
		return incoming ? -EINVAL : -ENOMEM;
	incoming->task.run = write_entry;
	incoming->task.done = on_entry_written;
	incoming->spool = spool;
	incoming->file = file;
	incoming->done = done;
	incoming->ctx = ctx;
	for (size_t i = 0; i < count && i < SINKS_MAX; i++) {
		const bool wanted = is_wanted(results, count, i);
		char *name = wanted ? strdup(results[i].name) : NULL;

		if (name)
			incoming->pending[incoming->pending_count++] = name;
		else if (wanted)
			return -ENOMEM;
		if (wanted && results[i].copies > copies)
			copies = results[i].copies;
	}
	incoming->event = event_copy(event);
	if (!incoming->event)
		return -ENOMEM;
	incoming->event->kind = EVENT_SPOOLED;
	cleanup(cleanup_json) json_t *details = details_json(file);
	if (details && copies)
		json_object_set_new(details, "copies", json_integer(copies));
	incoming->state = details ? write_state(incoming->event, clock_realtime_ns(), details, incoming->pending,
						incoming->pending_count)
				  : NULL;
	if (!incoming->state || !file->open(file->ctx, &incoming->stream))
		return -ENOMEM;
	const int r = offload_submit(spool->offload, &incoming->task);
	if (r < 0)
		file->close(file->ctx, &incoming->stream);
	else
		(void)take(incoming);
	spool->incoming_count += r == 0;
	return r;
}

bool spool_is_writing(const struct spool *spool)
{
	return spool && (spool->incoming_count || spool->settling);
}

void spool_abandon(struct spool *spool)
{
	atomic_store(&spool->stop_writing, true);
}

/* --- out: an entry --- */

static void next_entry(struct spool *spool);

static bool is_listed(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* A destination that the configuration lacks now may come back. */
static void choose_targets(struct entry *entry)
{
	const struct spool *spool = entry->spool;
	const char *names[SINKS_MAX];
	const size_t count = deliveries_destination_names(spool->options.deliveries, names);

	entry->target_count = 0;
	for (size_t i = 0; i < entry->pending_count; i++) {
		if (is_listed(names, count, entry->pending[i]) &&
		    !is_listed(spool->down, spool->down_count, entry->pending[i]))
			entry->targets[entry->target_count++] = entry->pending[i];
	}
}

static bool is_expired(const struct entry *entry)
{
	const uint64_t now_ns = clock_realtime_ns(), max_ns = entry->spool->options.max_age_ns;

	return max_ns && now_ns > entry->stored_ns && now_ns - entry->stored_ns > max_ns;
}

static void load_entry(struct offload_task *task)
{
	struct entry *entry = container_of(task, struct entry, task);
	struct spool *spool = entry->spool;

	entry->state = spool_directory_state(spool->directory, entry->name);
	if (!entry->state || !read_state(entry))
		return;
	choose_targets(entry);
	if (entry->target_count && !is_expired(entry))
		entry->fd = spool_directory_open_file(spool->directory, entry->name, &entry->size_bytes,
						      &spool->stop_reading);
}

static void settle_entry(struct offload_task *task)
{
	struct entry *entry = container_of(task, struct entry, task);
	struct spool *spool = entry->spool;

	if (entry->over) {
		entry->result = spool_directory_remove(spool->directory, entry->name);
		return;
	}
	cleanup(cleanup_free) char *state =
		write_state(entry->event, entry->stored_ns, entry->details, entry->pending, entry->pending_count);
	entry->result = state ? spool_directory_update(spool->directory, entry->name, state) : -ENOMEM;
}

/* What some destination has must not go there again. */
static void leave_alone(struct spool *spool, const struct entry *entry, int code)
{
	log_error("spool-not-updated", log_str("file", entry->name), log_str("error", strerror(-code)));
	json_object_set_new(spool->stuck, entry->name, json_true());
}

static void on_entry_settled(struct offload_task *task)
{
	struct entry *entry = container_of(task, struct entry, task);
	struct spool *spool = entry->spool;

	spool->settling = false;
	if (entry->result < 0)
		leave_alone(spool, entry, entry->result);
	free_entry(entry);
	next_entry(spool);
}

static void settle(struct entry *entry)
{
	entry->task.run = settle_entry;
	entry->task.done = on_entry_settled;
	const int r = offload_submit(entry->spool->offload, &entry->task);
	entry->spool->settling = r == 0;
	if (r == 0)
		return;
	leave_alone(entry->spool, entry, r);
	free_entry(entry);
	next_entry(entry->spool);
}

/* The event's destination with this name. It belongs to the copy, so it may be changed. */
static struct event_destination *find_destination(const struct entry *entry, const char *name)
{
	for (size_t i = 0; i < entry->event->destination_count; i++) {
		if (strcmp(entry->event->destinations[i].name, name) == 0)
			return (struct event_destination *)(uintptr_t)&entry->event->destinations[i];
	}
	return NULL;
}

static void replace_text(const char **text, const char *with)
{
	free((char *)(uintptr_t)*text);
	*text = with ? strdup(with) : NULL;
}

/* One of a fallback order has the file after all: it takes the place of the last one, which the event shows first. */
static void promote(struct event_destination *destination)
{
	struct event_destination *last = destination;

	while (last->superseded)
		last++;
	const struct event_destination taken = *destination;
	*destination = *last;
	*last = taken;
	destination->superseded = true;
	last->superseded = false;
}

static void note_result(struct entry *entry, const struct delivery_result *result)
{
	struct event_destination *destination = find_destination(entry, result->name);

	if (result->copies)
		json_object_set_new(entry->details, "copies", json_integer(result->copies));
	if (!destination)
		return;
	destination->ok = result->ok;
	destination->attempts += result->attempts;
	replace_text(&destination->url, result->url);
	replace_text(&destination->error, result->error);
	replace_text(&destination->warning, result->warning);
	if (result->ok)
		promote(destination);
}

static void remove_pending(struct entry *entry, const char *name)
{
	for (size_t i = 0; i < entry->pending_count; i++) {
		if (strcmp(entry->pending[i], name) != 0)
			continue;
		free(entry->pending[i]);
		entry->pending[i] = entry->pending[--entry->pending_count];
		return;
	}
}

static void publish_final(struct entry *entry)
{
	struct event *event = entry->event;
	bool ok = true;

	for (size_t i = 0; i < event->destination_count; i++)
		ok &= event->destinations[i].ok || event->destinations[i].superseded;
	event->kind = ok ? EVENT_DONE : EVENT_FAILED;
	event->time_ns = clock_realtime_ns();
	event_bus_publish(entry->spool->options.bus, event);
	entry->over = true;
}

static void give_up(struct entry *entry)
{
	for (size_t i = 0; i < entry->pending_count; i++) {
		struct event_destination *destination = find_destination(entry, entry->pending[i]);
		char text[ERROR_SIZE];

		if (!destination)
			continue;
		snprintf(text, sizeof(text), "given up after spool.max_age (last error: %.900s)",
			 destination->error ? destination->error : "");
		replace_text(&destination->error, text);
	}
	publish_final(entry);
	settle(entry);
}

static void note_down(struct spool *spool, const char *name)
{
	const char *names[SINKS_MAX];
	const size_t count = deliveries_destination_names(spool->options.deliveries, names);

	for (size_t i = 0; i < count && spool->down_count < SINKS_MAX; i++) {
		if (strcmp(names[i], name) == 0)
			spool->down[spool->down_count++] = names[i];
	}
}

static void on_delivered(void *ctx, const struct delivery_result *results, size_t count)
{
	struct entry *entry = ctx;
	struct spool *spool = entry->spool;
	bool changed = false, copied = false;

	entry->delivery = NULL;
	for (size_t i = 0; i < count; i++) {
		note_result(entry, &results[i]);
		copied |= results[i].copies > 0;
		if (results[i].gave_up) {
			note_down(spool, results[i].name);
			continue;
		}
		remove_pending(entry, results[i].name); /* taken, or refused for good */
		changed = true;
	}
	spool->took_some |= changed;
	spool->some_left |= entry->pending_count > 0;
	if (!entry->pending_count)
		publish_final(entry);
	if (changed || copied) {
		settle(entry);
		return;
	}
	free_entry(entry);
	next_entry(spool);
}

/* One destination's way through the file. Reads find it in the page cache: the spool's thread has just read it. */
struct reader {
	int fd; /* the entry's */
	uint64_t at;
};

static size_t read_file(void *ctx, uint8_t *into, size_t room)
{
	struct reader *reader = ctx;
	ssize_t got;

	do
		got = pread(reader->fd, into, room, (off_t)reader->at);
	while (got < 0 && errno == EINTR);
	reader->at += got > 0 ? (uint64_t)got : 0;
	return got > 0 ? (size_t)got : 0;
}

static void rewind_file(void *ctx)
{
	struct reader *reader = ctx;

	reader->at = 0;
}

static bool open_stream(void *ctx, struct byte_stream *stream)
{
	const struct entry *entry = ctx;
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return false;
	reader->fd = entry->fd;
	*stream = (struct byte_stream){.size_bytes = entry->size_bytes,
				       .read = read_file,
				       .rewind = rewind_file,
				       .ctx = reader};
	return true;
}

static void close_stream(void *ctx, struct byte_stream *stream)
{
	(void)ctx;
	free(stream->ctx);
}

static const char *override_of(const struct entry *entry, const char *field)
{
	return json_string_value(json_object_get(json_object_get(entry->details, "overrides"), field));
}

static bool deliver(struct entry *entry)
{
	entry->file = (struct sink_file){
		.name = entry->name,
		.tags = entry->event->tags,
		.comment = json_string_value(json_object_get(entry->details, "comment")),
		.customer = entry->event->customer,
		.filter = json_string_value(json_object_get(entry->details, "filter")),
		.copies = (unsigned)json_integer_value(json_object_get(entry->details, "copies")),
		.id = entry->event->id,
		.capture = entry->event->capture,
		.overrides = {.bucket = override_of(entry, "bucket"),
			      .folder = override_of(entry, "folder"),
			      .region = override_of(entry, "region"),
			      .endpoint = override_of(entry, "endpoint"),
			      .acl = override_of(entry, "acl"),
			      .encryption = override_of(entry, "encryption")},
		.node = entry->event->node,
		.interface = entry->event->interface,
		.time_ns = entry->event->window.from_ns,
		.held_bytes = entry->event->bytes,
		.ctx = entry,
		.open = open_stream,
		.close = close_stream,
	};
	const struct delivery_targets targets = {.all = entry->targets, .all_count = entry->target_count};
	entry->delivery = delivery_start(entry->spool->options.deliveries, &entry->file, &targets, on_delivered, entry);
	if (entry->delivery)
		delivery_try_once(entry->delivery);
	return entry->delivery;
}

static void on_entry_loaded(struct offload_task *task)
{
	struct entry *entry = container_of(task, struct entry, task);
	struct spool *spool = entry->spool;
	const bool readable = entry->state && entry->event && entry->pending_count;

	if (!readable || (entry->fd < 0 && entry->fd != -ECANCELED && entry->target_count && !is_expired(entry)))
		log_error("spool-entry-unreadable", log_str("file", entry->name),
			  log_str("error", readable ? "its file cannot be read" : "its state cannot be read"));
	if (readable && is_expired(entry) && !atomic_load(&spool->stop_reading)) {
		give_up(entry);
		return;
	}
	spool->some_left |= readable;
	if (readable && entry->fd >= 0 && !atomic_load(&spool->stop_reading) && deliver(entry))
		return;
	free_entry(entry);
	next_entry(spool);
}

/* --- out: a round --- */

static void end_round(struct spool *spool)
{
	const uint64_t first_ns = spool->options.interval_ns, most_ns = INTERVAL_FACTOR_MAX * first_ns;
	uint32_t random;

	free(take(spool->names));
	spool->name_count = spool->next = spool->down_count = 0;
	spool->round = false;
	if (!spool->some_left && !spool->came_in) {
		spool->interval_ns = first_ns;
		return;
	}
	spool->interval_ns = spool->took_some			? first_ns
			     : 2 * spool->interval_ns < most_ns ? 2 * spool->interval_ns
								: most_ns;
	evutil_secure_rng_get_bytes(&random, sizeof(random));
	/* Between half of it and all: many nodes wait for the same server. */
	wait_for_round(spool, spool->interval_ns / 2 + spool->interval_ns / 2 * (random % 1024) / 1024);
}

static void next_entry(struct spool *spool)
{
	struct entry *entry = &spool->entry;

	while (spool->next < spool->name_count && !atomic_load(&spool->stop_reading)) {
		entry->name = spool->names[spool->next++];
		if (json_object_get(spool->stuck, entry->name))
			continue;
		entry->task.run = load_entry;
		entry->task.done = on_entry_loaded;
		if (offload_submit(spool->offload, &entry->task) == 0)
			return;
		spool->some_left = true;
	}
	end_round(spool);
}

static void list_entries(struct offload_task *task)
{
	struct spool *spool = container_of(task, struct spool, listing);
	const int r = spool_directory_list(spool->directory, &spool->names, &spool->name_count);

	if (r < 0)
		log_error("spool-not-listed", log_str("error", strerror(-r)));
	spool->some_left = r < 0;
}

static void on_entries_listed(struct offload_task *task)
{
	struct spool *spool = container_of(task, struct spool, listing);

	next_entry(spool);
}

static void begin_round(evutil_socket_t fd, short what, void *ctx)
{
	struct spool *spool = ctx;

	(void)fd;
	(void)what;
	if (atomic_load(&spool->stop_reading) || spool->round)
		return;
	spool->took_some = spool->came_in = false;
	spool->listing.run = list_entries;
	spool->listing.done = on_entries_listed;
	spool->round = offload_submit(spool->offload, &spool->listing) == 0;
	if (!spool->round)
		wait_for_round(spool, spool->options.interval_ns);
}

/* --- the spool --- */

int spool_new(const struct spool_options *options, struct spool **made, struct error *err)
{
	cleanup(cleanup_spool) struct spool *spool = calloc(1, sizeof(*spool));

	if (!spool)
		return error_set(err, -ENOMEM, "out of memory");
	spool->options = *options;
	if (!spool->options.interval_ns)
		spool->options.interval_ns = INTERVAL_NS;
	spool->interval_ns = spool->options.interval_ns;
	spool->entry = (struct entry){.spool = spool, .fd = -1};
	const int r = spool_directory_open(options->path, &spool->directory, err);
	if (r < 0)
		return r;
	spool->offload = offload_new(options->loop, "pcapd-spool", 1, QUEUE_MAX);
	spool->timer = evtimer_new(options->loop, begin_round, spool);
	spool->stuck = json_object();
	if (!spool->offload || !spool->timer || !spool->stuck)
		return error_set(err, -ENOMEM, "out of memory");
	const struct spool_usage usage = spool_directory_usage(spool->directory);
	if (usage.files) {
		log_notice("spool-taken-up", log_uint("files", usage.files), log_uint("bytes", usage.bytes));
		wait_for_round(spool, FIRST_ROUND_MS * NS_PER_MS);
	}
	*made = take(spool);
	return 0;
}

void spool_stop(struct spool *spool)
{
	if (!spool)
		return;
	atomic_store(&spool->stop_reading, true);
	event_del(spool->timer);
	if (spool->entry.delivery)
		delivery_abandon(spool->entry.delivery, "the daemon was stopped");
}

void spool_free(struct spool *spool)
{
	atomic_store(&spool->stop_writing, true);
	if (spool->timer)
		spool_stop(spool);
	offload_free(spool->offload);
	if (spool->timer)
		event_free(spool->timer);
	free_entry(&spool->entry);
	free(spool->names);
	json_decref(spool->stuck);
	if (spool->directory)
		spool_directory_close(spool->directory);
	free(spool);
}

struct spool_usage spool_usage(const struct spool *spool)
{
	return spool ? spool_directory_usage(spool->directory) : (struct spool_usage){0};
}
