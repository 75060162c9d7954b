/*
 * All files are put one behind the other into a file without a name in $TMPDIR, so that memory holds one chunk of them
 * at a time. A key is taken from Redis, and deleted there, only if it is the one that this node's file of this capture
 * must have: what an event says is anybody's word.
 */
#include "fleet_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buffer.h"
#include "base/printable.h"
#include "file_out.h"
#include "fleet_bus.h"
#include "fleet_files.h"
#include "interrupts.h"
#include "pcapng/pcapng_merge.h"
#include "results.h"
#include "show.h"
#include "terminal.h"

#define KEY_MAX 8192 /* bytes */
#define PIECE_SIZE ((size_t)64 << 10)
#define URL_PREFIX "redis:"
#define FILE_TRIES 8 /* while Redis comes and goes */

struct gathering {
	struct fleet_bus *bus;
	int fd; /* of the file without a name */
	uint64_t size;
	struct pcapng_merge_input *inputs; /* labels are the events' */
	char **keys;
	size_t count;
};

static void cleanup_gathering(struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->count; i++)
		free(gathering->keys[i]);
	free(gathering->keys);
	free(gathering->inputs);
	if (gathering->fd >= 0)
		close(gathering->fd);
}

/* -errno with the text in `err`. */
static int open_nameless(struct error *err)
{
	const char *directory = getenv("TMPDIR");
	int fd;

	if (!directory || !*directory)
		directory = P_tmpdir;
	fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	return error_set(err, -errno, "no room for files in %s: %s; name a place with TMPDIR", directory,
			 strerror(errno));
}

int fleet_merge_check(const char *path, struct error *err)
{
	cleanup(cleanup_close) int fd = open_nameless(err);

	return fd < 0 ? fd : file_out_check(path, err);
}

static int gathering_init(struct gathering *gathering, size_t most, struct error *err)
{
	gathering->inputs = calloc(most + 1, sizeof(*gathering->inputs));
	gathering->keys = calloc(most + 1, sizeof(*gathering->keys));
	if (!gathering->inputs || !gathering->keys)
		return error_set(err, -ENOMEM, "out of memory");
	gathering->fd = open_nameless(err);
	return gathering->fd < 0 ? gathering->fd : 0;
}

/* --- gathering --- */

static int append(void *ctx, const void *bytes, size_t size)
{
	struct gathering *gathering = ctx;
	const char *at = bytes;

	while (size > 0) {
		ssize_t written = pwrite(gathering->fd, at, size, (off_t)gathering->size);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written <= 0)
			continue;
		at += written;
		size -= (size_t)written;
		gathering->size += (uint64_t)written;
	}
	return 0;
}

static bool is_away(const struct fleet_bus *bus)
{
	return fleet_bus_away_ns(bus) >= FLEET_AWAY_MAX_NS;
}

static int gather_one(struct gathering *gathering, const json_t *event, const char *url, struct error *err)
{
	cleanup(buffer_deinit) struct buffer key = BUFFER_INIT(KEY_MAX);
	char name[FLEET_FILE_NAME_SIZE];
	uint64_t start = gathering->size;
	unsigned tries = 0;
	int r = fleet_bus_file_key(gathering->bus, json_text(event, "node"), json_text(event, "capture"), &key);

	if (r < 0 || strncmp(url, URL_PREFIX, strlen(URL_PREFIX)) != 0 ||
	    strcmp(url + strlen(URL_PREFIX), buffer_text(&key)) != 0)
		return error_set(err, -EPROTO, "its file in Redis has a key that it cannot have");
	if (is_away(gathering->bus))
		return error_set(err, -ENOTCONN, "its file is left in %s, which is away",
				 fleet_bus_place(gathering->bus));
	do {
		gathering->size = start;
		r = fleet_file_read(gathering->bus, buffer_text(&key), append, gathering, name, err);
	} while (r < 0 && ++tries < FILE_TRIES && fleet_bus_sat_out(gathering->bus, r));
	if (r < 0) {
		gathering->size = start;
		return r;
	}
	gathering->keys[gathering->count] = take(key.data);
	gathering->inputs[gathering->count++] = (struct pcapng_merge_input){
		.label = json_text(event, "node"),
		.bytes = {.fd = gathering->fd, .start = start, .size_bytes = gathering->size - start},
	};
	return 0;
}

static int gather(struct gathering *gathering, const json_t *events, size_t *missing, struct error *err)
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
		r = gather_one(gathering, event, url ? url : "", err);
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

static void tell_troubles(const struct gathering *gathering, const struct pcapng_merge *merge, size_t *missing)
{
	char node[256], because[512];

	for (size_t i = 0; i < gathering->count; i++) {
		struct pcapng_merge_report report = pcapng_merge_report(merge, i);

		if (report.error_code == 0)
			continue;
		++*missing;
		terminal_error("%s: its file is broken, what comes before is merged: %s",
			       printable(node, sizeof(node), gathering->inputs[i].label),
			       printable(because, sizeof(because), report.error));
	}
}

static int write_merged(struct pcapng_merge *merge, struct file_out *out, struct error *err)
{
	cleanup(cleanup_free) uint8_t *piece = malloc(PIECE_SIZE);
	struct byte_stream stream = pcapng_merge_stream(merge);
	size_t got;

	if (!piece)
		return error_set(err, -ENOMEM, "out of memory");
	while ((got = stream.read(stream.ctx, piece, PIECE_SIZE)) > 0) {
		if (interrupts_take() > 0)
			return error_set(err, -EINTR, "interrupted");
		if (file_out_write(out, piece, got) < 0)
			return 0; /* file_out_finish tells */
	}
	return pcapng_merge_failed(merge, err);
}

static int merge_into(const struct gathering *gathering, const char *path, size_t *missing, char **saved,
		      struct error *err)
{
	cleanup(cleanup_pcapng_merge) struct pcapng_merge *merge = NULL;
	cleanup(cleanup_file_out) struct file_out *out = file_out_new(path, err);
	int r = out ? 0 : -EIO;

	if (r == 0)
		r = pcapng_merge_new(gathering->inputs, gathering->count, "pcapctl " PCAPDAEMON_VERSION, &merge, err);
	if (r < 0)
		return r;
	tell_troubles(gathering, merge, missing);
	r = write_merged(merge, out, err);
	return r < 0 ? r : file_out_finish(out, NULL, saved, err);
}

int fleet_merge(struct fleet_bus *bus, const json_t *events, const char *path, size_t *missing, char **saved,
		struct error *err)
{
	cleanup(cleanup_gathering) struct gathering gathering = {.bus = bus, .fd = -1};
	struct error ignored;
	int r = gathering_init(&gathering, json_array_size(events), err);

	*missing = 0;
	if (r < 0)
		return r;
	r = gather(&gathering, events, missing, err);
	if (r < 0 || gathering.count == 0)
		return r;
	r = merge_into(&gathering, path, missing, saved, err);
	/* What is not deleted expires. */
	for (size_t i = 0; r == 0 && i < gathering.count && !is_away(bus) && !interrupts_waiting(); i++)
		(void)!fleet_bus_delete(bus, gathering.keys[i], &ignored);
	return r;
}
