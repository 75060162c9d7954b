/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file in Redis is a list: a JSON header, then the chunks. It is read element by element, so that memory holds one
 * chunk at a time, and is valid only if it has the size in its header.
 */
#include "pcapctl/fleet/fleet_files.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "pcapctl/cli/interrupts.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/fleet/fleet_bus.h"
#include "pcapctl/output/format.h"

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
			r = put(ctx, buffer_text(&chunk), chunk.size);
			if (r < 0)
				error_set(err, r, "cannot write: %s", strerror(-r));
		}
	}
	if (r == 0 && got != size)
		return error_set(err, -EPROTO, "the file in Redis is truncated: %" PRIu64 " of %" PRIu64 " bytes", got,
				 size);
	return r;
}
