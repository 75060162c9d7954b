/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes bytes as they arrive; the file appears when it is complete. */
#include "pcapctl/local/local_download.h"

#include <errno.h>

#include "pcapctl/cli/interrupts.h"
#include "pcapctl/local/live_units.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/local/pcapng_probe.h"
#include "pcapctl/output/atomic_file.h"

#define RUN_MS 1000

struct download {
	struct atomic_file *file;
	struct pcapng_probe *probe;
	struct live_units *units; /* NULL: not wanted, or it is no capture file */
};

static bool write_bytes(void *ctx, const char *bytes, size_t size)
{
	struct download *download = ctx;

	if (download->probe)
		pcapng_probe_feed(download->probe, bytes, size);
	if (download->units && live_units_feed(download->units, bytes, size) < 0)
		download->units = NULL;
	if (download->units)
		live_units_drop(download->units, download->units->whole_bytes);
	return atomic_file_write(download->file, bytes, size) == 0;
}

int local_download(struct local_client *client, const struct local_download_request *request, char **name,
		   struct error *err)
{
	cleanup(cleanup_atomic_file) struct atomic_file *file = atomic_file_new(request->to, err);
	struct download download = {file, request->probe, request->units};
	cleanup(cleanup_local_call) struct local_call *call = NULL;
	const json_t *json;
	int fd = interrupts_begin();
	int r = file ? 0 : -EIO;

	if (r == 0)
		call = local_call_start(client,
					&(struct local_call_request){.method = "GET",
								     .path = request->path,
								     .put = write_bytes,
								     .ctx = &download},
					err);
	if (r == 0 && !call)
		r = -ENOMEM;
	while (r == 0 && !local_call_finished(call)) {
		r = local_client_run(client, RUN_MS, fd, err);
		if (r == 0 && interrupts_take() > 0)
			r = error_set(err, -EINTR, "interrupted; nothing was written");
	}
	if (r < 0)
		return r;
	if (atomic_file_write(file, "", 0) < 0) /* the disk failed, not the daemon */
		return atomic_file_commit(file, NULL, name, err);
	r = local_call_result(call, &json, err);
	if (r >= 300) {
		local_call_refusal(call, r, err);
		return -EINVAL;
	}
	return r < 0 ? r : atomic_file_commit(file, local_call_file_name(call), name, err);
}
