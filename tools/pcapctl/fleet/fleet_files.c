/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file in Redis is a list: a JSON header, then the chunks. It is read element by element, so that memory holds one
 * chunk at a time, and is valid only if it has the size in its header. One that its node has compressed is decompressed
 * on the way.
 */
#include "pcapctl/fleet/fleet_files.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/decompressor.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/output/format.h"

/* Where chunks go: as they are, or through a decompressor. */
struct unpacker {
	fleet_file_writer put;
	void *ctx;
	bool begun;
	struct decompressor *decompressor; /* NULL: the file is not compressed */
	uint8_t *room;			   /* FLEET_CHUNK_MAX bytes, with a decompressor */
	uint64_t size;
};

static void unpacker_deinit(struct unpacker *unpacker)
{
	decompressor_free(unpacker->decompressor);
	free(unpacker->room);
}

static int unpacker_begin(struct unpacker *unpacker, const void *bytes, size_t size)
{
	const enum compression kind = compression_detect(bytes, size);

	unpacker->begun = true;
	if (kind == COMPRESSION_NONE)
		return 0;
	unpacker->decompressor = decompressor_new(kind);
	unpacker->room = malloc(FLEET_CHUNK_MAX);
	return unpacker->decompressor && unpacker->room ? 0 : -ENOMEM;
}

static int put_unpacked(struct unpacker *unpacker, const void *bytes, size_t size)
{
	unpacker->size += size;
	return unpacker->size > FLEET_FILE_MAX ? -EFBIG : unpacker->put(unpacker->ctx, bytes, size);
}

static int unpacker_add(struct unpacker *unpacker, const void *bytes, size_t size)
{
	struct compression_step step = {.in = bytes, .in_size = size};
	int r = unpacker->begun ? 0 : unpacker_begin(unpacker, bytes, size), more = 0;

	if (r < 0 || !unpacker->decompressor)
		return r < 0 ? r : put_unpacked(unpacker, bytes, size);
	while (r == 0 && more == 0) {
		step.out = unpacker->room;
		step.out_room = FLEET_CHUNK_MAX;
		more = decompressor_run(unpacker->decompressor, &step);
		if (more >= 0 && step.out_room < FLEET_CHUNK_MAX)
			r = put_unpacked(unpacker, unpacker->room, FLEET_CHUNK_MAX - step.out_room);
	}
	return more < 0 ? more : r;
}

static int unpacker_end(const struct unpacker *unpacker, char name[static FLEET_FILE_NAME_SIZE])
{
	if (!unpacker->decompressor)
		return 0;
	name[compression_plain_name_size(name)] = '\0';
	return decompressor_is_complete(unpacker->decompressor) ? 0 : -EPROTO;
}

static int read_header(struct fleet_bus *bus, const char *key, uint64_t *size, uint64_t *chunks,
		       char name[static FLEET_FILE_NAME_SIZE], struct error *err)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(FLEET_CHUNK_MAX);
	cleanup(cleanup_json) json_t *header = NULL;
	int r = fleet_bus_list_element(bus, key, 0, &text, err);

	if (r < 0)
		return r;
	header = json_loadb(buffer_text(&text), text.size, JSON_REJECT_DUPLICATES, NULL);
	*size = json_number(header, "size");
	*chunks = json_number(header, "chunks");
	snprintf(name, FLEET_FILE_NAME_SIZE, "%s", json_text(header, "name"));
	if (json_number(header, "v") != 1 || *size == 0 || *size > FLEET_FILE_MAX || *chunks == 0 || *chunks > *size)
		return error_set(err, -EPROTO, "the key in Redis holds no capture's file");
	return 0;
}

int fleet_file_read(struct fleet_bus *bus, const char *key, fleet_file_writer put, void *ctx,
		    char name[static FLEET_FILE_NAME_SIZE], struct error *err)
{
	cleanup(buffer_deinit) struct buffer chunk = BUFFER_INIT(FLEET_CHUNK_MAX);
	cleanup(unpacker_deinit) struct unpacker unpacker = {.put = put, .ctx = ctx};
	uint64_t size, chunks, got = 0;
	int r = interrupts_begin();

	if (r < 0)
		return error_set(err, r, "signals: %s", strerror(-r));
	r = read_header(bus, key, &size, &chunks, name, err);
	for (uint64_t i = 1; r == 0 && i <= chunks; i++) {
		r = fleet_bus_list_element(bus, key, i, &chunk, err);
		if (r == 0 && interrupts_take() > 0)
			r = error_set(err, -EINTR, "interrupted");
		got += chunk.size;
		if (r == 0 && (chunk.size == 0 || got > size))
			r = error_set(err, -EPROTO, "the file in Redis does not match its header");
		if (r == 0) {
			r = unpacker_add(&unpacker, buffer_text(&chunk), chunk.size);
			if (r == -EPROTO)
				error_set(err, r, "the compressed file in Redis is damaged");
			else if (r < 0)
				error_set(err, r, "cannot write: %s", strerror(-r));
		}
	}
	if (r == 0 && got != size)
		return error_set(err, -EPROTO, "the file in Redis is truncated: %" PRIu64 " of %" PRIu64 " bytes", got,
				 size);
	if (r == 0 && unpacker_end(&unpacker, name) < 0)
		return error_set(err, -EPROTO, "the compressed file in Redis is truncated");
	return r;
}
