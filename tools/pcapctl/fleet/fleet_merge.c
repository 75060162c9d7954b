/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Collects all files, one after the other, in an unnamed file in $TMPDIR, so that memory holds one chunk at a time.
 * Events are untrusted: a key is read from Redis, and deleted there, only if it is the one that this node's file of
 * this capture must have.
 */
#include "pcapctl/fleet/fleet_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buffer.h"
#include "base/printable.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/fleet/fleet_files.h"
#include "pcapctl/output/atomic_file.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"
#include "pcapng/pcapng_merge.h"

#define CHUNK_SIZE ((size_t)64 << 10)
#define URL_PREFIX "redis:"
#define FILE_TRIES 8 /* per file, if Redis is away meanwhile */

struct collection {
	struct fleet_bus *bus;
	int fd; /* the unnamed file */
	uint64_t size;
	struct pcapng_merge_input *inputs; /* labels are borrowed from the events */
	char **keys;
	json_t **events; /* borrowed */
	size_t count;
};

static void cleanup_collection(struct collection *collection)
{
	for (size_t i = 0; i < collection->count; i++)
		free(collection->keys[i]);
	free(collection->keys);
	free(collection->events);
	free(collection->inputs);
	if (collection->fd >= 0)
		close(collection->fd);
}

/* A file descriptor, or -errno with the text in `err`. */
static int open_unnamed(struct error *err)
{
	const char *directory = getenv("TMPDIR");
	int fd;

	if (!directory || !*directory)
		directory = P_tmpdir;
	fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	return error_set(err, -errno, "cannot create files in %s: %s; choose another directory with TMPDIR", directory,
			 strerror(errno));
}

int fleet_merge_check(const char *path, struct error *err)
{
	cleanup(cleanup_close) int fd = open_unnamed(err);

	return fd < 0 ? fd : atomic_file_check(path, err);
}

static int collection_init(struct collection *collection, size_t max, struct error *err)
{
	collection->inputs = calloc(max + 1, sizeof(*collection->inputs));
	collection->keys = calloc(max + 1, sizeof(*collection->keys));
	collection->events = calloc(max + 1, sizeof(*collection->events));
	if (!collection->inputs || !collection->keys || !collection->events)
		return error_set(err, -ENOMEM, "out of memory");
	collection->fd = open_unnamed(err);
	return collection->fd < 0 ? collection->fd : 0;
}

/* --- collecting --- */

static int append(void *ctx, const void *bytes, size_t size)
{
	struct collection *collection = ctx;
	const char *at = bytes;

	while (size > 0) {
		ssize_t written = pwrite(collection->fd, at, size, (off_t)collection->size);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written <= 0)
			continue;
		at += written;
		size -= (size_t)written;
		collection->size += (uint64_t)written;
	}
	return 0;
}

static bool is_redis_gone(const struct fleet_bus *bus)
{
	return fleet_bus_outage_ns(bus) >= FLEET_OUTAGE_MAX_NS;
}

static int collect_one(struct collection *collection, json_t *event, const char *url, struct error *err)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(FLEET_KEY_MAX);
	char name[FLEET_FILE_NAME_SIZE];
	uint64_t start = collection->size;
	unsigned tries = 0;
	int r = fleet_bus_file_key(collection->bus, json_text(event, "node"), json_text(event, "capture"), &key);

	if (r < 0 || strncmp(url, URL_PREFIX, strlen(URL_PREFIX)) != 0 ||
	    strcmp(url + strlen(URL_PREFIX), buffer_text(&key)) != 0)
		return error_set(err, -EPROTO, "its event names an invalid key in Redis");
	if (is_redis_gone(collection->bus))
		return error_set(err, -ENOTCONN, "its file stays in %s, which is away",
				 fleet_bus_name(collection->bus));
	do {
		collection->size = start;
		r = fleet_file_read(collection->bus, buffer_text(&key), append, collection, name, err);
	} while (r < 0 && ++tries < FILE_TRIES && fleet_bus_should_retry(collection->bus, r));
	if (r < 0) {
		collection->size = start;
		return r;
	}
	collection->keys[collection->count] = take(key.data);
	collection->events[collection->count] = event;
	collection->inputs[collection->count++] = (struct pcapng_merge_input){
		.label = json_text(event, "node"),
		.bytes = {.fd = collection->fd, .start = start, .size_bytes = collection->size - start},
	};
	return 0;
}

static int collect(struct collection *collection, const json_t *events, size_t *missing, struct error *err)
{
	size_t i;
	json_t *event;
	char shown[256];
	int r;

	json_array_foreach(events, i, event)
	{
		const char *url = event_destination_url(event, "redis");

		if (!event_is_final(event) || !event_has_destination(event, "redis"))
			continue;
		r = collect_one(collection, event, url ? url : "", err);
		if (r == -EINTR)
			return r;
		if (r < 0) {
			terminal_error("%s: %s", printable(shown, sizeof(shown), json_text(event, "node")), err->text);
			++*missing;
		}
	}
	return 0;
}

/* --- merging --- */

static void report_broken_inputs(const struct collection *collection, const struct pcapng_merge *merge, size_t *missing)
{
	char node[256], reason[512];

	for (size_t i = 0; i < collection->count; i++) {
		struct pcapng_merge_report report = pcapng_merge_report(merge, i);

		if (report.error_code == 0)
			continue;
		++*missing;
		terminal_error("%s: its file is damaged, only the packets before the damage are merged: %s",
			       printable(node, sizeof(node), collection->inputs[i].label),
			       printable(reason, sizeof(reason), report.error));
	}
}

static int write_merged(struct pcapng_merge *merge, struct atomic_file *out, struct error *err)
{
	cleanup(cleanup_free) uint8_t *chunk = malloc(CHUNK_SIZE);
	struct byte_stream stream = pcapng_merge_stream(merge);
	size_t got;

	if (!chunk)
		return error_set(err, -ENOMEM, "out of memory");
	while ((got = stream.read(stream.ctx, chunk, CHUNK_SIZE)) > 0) {
		if (interrupts_take() > 0)
			return error_set(err, -EINTR, "interrupted");
		if (atomic_file_write(out, chunk, got) < 0)
			return 0; /* atomic_file_commit reports it */
	}
	return pcapng_merge_failed(merge, err);
}

static int merge_into(const struct collection *collection, const struct fleet_merge_options *options, size_t *missing,
		      char **saved, struct error *err)
{
	const struct pcapng_merge_maker maker = {.application = "pcapctl " PCAPDAEMON_VERSION,
						 .missing = options->missing};
	cleanup(cleanup_pcapng_merge) struct pcapng_merge *merge = NULL;
	int r = pcapng_merge_new(collection->inputs, collection->count, &maker, &merge, err);

	if (r < 0)
		return r;
	report_broken_inputs(collection, merge, missing);
	/* Not before: reading the inputs takes no interrupts, and a process that ends would leave its temporary file.
	 */
	cleanup(cleanup_atomic_file) struct atomic_file *out = atomic_file_new(options->path, err);
	if (!out)
		return -EIO;
	r = write_merged(merge, out, err);
	return r < 0 ? r : atomic_file_commit(out, NULL, saved, err);
}

/* The key is gone, and the merged file has the packets. */
static void replace_key(json_t *event, const char *saved)
{
	size_t i;
	json_t *destination;

	json_array_foreach(json_object_get(event, "destinations"), i, destination)
	{
		if (strcmp(json_text(destination, "name"), "redis") == 0)
			json_object_del(destination, "url");
	}
	json_object_set_new(event, RESULT_SAVED, json_string(saved));
}

int fleet_merge(struct fleet_bus *bus, const json_t *events, const struct fleet_merge_options *options, size_t *missing,
		char **saved, struct error *err)
{
	cleanup(cleanup_collection) struct collection collection = {.bus = bus, .fd = -1};
	struct error ignored;
	int r = collection_init(&collection, json_array_size(events), err);

	*missing = 0;
	if (r < 0)
		return r;
	r = collect(&collection, events, missing, err);
	if (r < 0 || collection.count == 0)
		return r;
	r = merge_into(&collection, options, missing, saved, err);
	/* Keys that are not deleted expire. */
	for (size_t i = 0; r == 0 && i < collection.count && !is_redis_gone(bus) && !interrupts_pending(); i++)
		if (fleet_bus_delete(bus, collection.keys[i], &ignored) == 0)
			replace_key(collection.events[i], *saved);
	return r;
}
