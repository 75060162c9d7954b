/*
 * Two small tables of fixed size, each a list by age over chains by hash; when one is full its oldest entry goes. What
 * a request wants is part of its key (all but how long): folding one into another is only right if the other captures
 * the same packets and takes them to the same places.
 */
#include "job/storm.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/token_bucket.h"
#include "config/config.h"

#define BUCKETS 1024
#define KEY_BYTES_MAX (128 * 1024) /* a request has at most 64 KiB */

struct entry {
	struct entry *chain;
	TAILQ_ENTRY(entry) age;
	char *key;
	char id[REQUEST_ID_SIZE]; /* events: the request that was taken */
	uint64_t since_ns;	  /* events: boot time at which the cooldown began */
	struct token_bucket rate; /* customers */
};

struct table {
	struct entry *buckets[BUCKETS];
	TAILQ_HEAD(, entry) by_age; /* the oldest first */
	size_t count, most;
};

struct storm {
	const struct config *config;
	struct table events, customers;
};

/* --- a table --- */

static void table_init(struct table *table, size_t most)
{
	TAILQ_INIT(&table->by_age);
	table->most = most;
}

static struct entry *table_find(const struct table *table, const char *key)
{
	struct entry *entry = table->buckets[hash_text(key) % BUCKETS];
	while (entry && strcmp(entry->key, key) != 0)
		entry = entry->chain;
	return entry;
}

static void table_drop_oldest(struct table *table)
{
	struct entry *oldest = TAILQ_FIRST(&table->by_age);
	struct entry **at = &table->buckets[hash_text(oldest->key) % BUCKETS];
	while (*at != oldest)
		at = &(*at)->chain;
	*at = oldest->chain;
	TAILQ_REMOVE(&table->by_age, oldest, age);
	table->count--;
	free(oldest->key);
	free(oldest);
}

/* The entry of this key, made if there is none, the youngest from now on. NULL on ENOMEM. */
static struct entry *table_touch(struct table *table, const char *key, bool *is_new)
{
	struct entry *entry = table_find(table, key);
	*is_new = !entry;
	if (entry) {
		TAILQ_REMOVE(&table->by_age, entry, age);
	} else {
		entry = calloc(1, sizeof(*entry));
		if (!entry || !(entry->key = strdup(key))) {
			free(entry);
			return NULL;
		}
		while (table->count >= table->most)
			table_drop_oldest(table);
		struct entry **bucket = &table->buckets[hash_text(key) % BUCKETS];
		entry->chain = *bucket;
		*bucket = entry;
		table->count++;
	}
	TAILQ_INSERT_TAIL(&table->by_age, entry, age);
	return entry;
}

/* --- customers --- */

static int take_token(struct storm *storm, const char *customer, uint64_t now_ns, struct error *err)
{
	const uint64_t rate = storm->config->limits.customer_requests_per_second;
	bool is_new;
	if (!rate)
		return 0;
	struct entry *entry = table_touch(&storm->customers, customer, &is_new);
	if (!entry)
		return error_set(err, -ENOMEM, "out of memory");
	if (is_new)
		token_bucket_init(&entry->rate, now_ns);
	if (!token_bucket_take(&entry->rate, rate, now_ns))
		return error_set(err, -EDQUOT,
				 "too many requests of this customer (limits.customer_requests_per_second)");
	return 0;
}

int storm_admit_customer(struct storm *storm, const char *customer, uint64_t running, size_t more, uint64_t now_ns,
			 struct error *err)
{
	const uint64_t most = storm->config->limits.customer_captures;
	if (!customer)
		return 0;
	const int r = take_token(storm, customer, now_ns, err);
	if (r < 0)
		return r;
	if (most && running + more > most)
		return error_set(err, -EDQUOT,
				 "%" PRIu64 " captures of this customer are running already, at most %" PRIu64
				 " may (limits.customer_captures)",
				 running, most);
	return 0;
}

/* --- events --- */

static int append_wanted(struct buffer *key, const struct request *request)
{
	int r = buffer_printf(key,
			      "\n%" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %d\n%s",
			      request->snap, request->packets, request->bytes, request->before_ns, request->from_ns,
			      request->to_ns, request->format, request->merge, request->bpf ? request->bpf : "");
	for (size_t i = 0; i < request->interface_count && r == 0; i++)
		r = buffer_printf(key, "\n%s", request->interfaces[i].name);
	for (size_t i = 0; i < request->destination_count && r == 0; i++)
		r = buffer_printf(key, "\n> %s", request->destinations[i]);
	return r;
}

/* What makes two requests the same event; false: nothing does. Texts of requests hold no newline where it would matter:
 * each part but the last few is of one line. */
static bool make_key(const struct request *request, struct buffer *key)
{
	int r = -EINVAL;
	if (request->dedupe)
		r = buffer_printf(key, "dedupe %s", request->dedupe);
	else if (request->alertid)
		r = buffer_printf(key, "alertid %s\n%s", request->alertid, request->customer ? request->customer : "");
	return r == 0 && append_wanted(key, request) == 0;
}

const char *storm_find(const struct storm *storm, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);
	const uint64_t cooldown_ns = storm->config->limits.cooldown_ns;
	if (!cooldown_ns || !make_key(request, &key))
		return NULL;
	const struct entry *entry = table_find(&storm->events, buffer_text(&key));
	return entry && now_ns - entry->since_ns < cooldown_ns ? entry->id : NULL;
}

void storm_note(struct storm *storm, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);
	bool is_new;
	if (!storm->config->limits.cooldown_ns || !make_key(request, &key))
		return;
	struct entry *entry = table_touch(&storm->events, buffer_text(&key), &is_new);
	if (!entry)
		return; /* it will run again: better twice than not at all */
	snprintf(entry->id, sizeof(entry->id), "%s", request->id);
	entry->since_ns = now_ns;
}

void storm_renew(struct storm *storm, const struct request *request, uint64_t now_ns)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_BYTES_MAX);
	struct entry *entry = make_key(request, &key) ? table_find(&storm->events, buffer_text(&key)) : NULL;
	if (!entry)
		return;
	entry->since_ns = now_ns;
	TAILQ_REMOVE(&storm->events.by_age, entry, age);
	TAILQ_INSERT_TAIL(&storm->events.by_age, entry, age);
}

/* --- the whole --- */

struct storm *storm_new(const struct config *config)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	if (!storm)
		return NULL;
	storm->config = config;
	table_init(&storm->events, STORM_KEYS_MAX);
	table_init(&storm->customers, STORM_CUSTOMERS_MAX);
	return storm;
}

void storm_free(struct storm *storm)
{
	if (!storm)
		return;
	while (storm->events.count)
		table_drop_oldest(&storm->events);
	while (storm->customers.count)
		table_drop_oldest(&storm->customers);
	free(storm);
}
