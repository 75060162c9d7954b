/* Bytes go to the file as they come; it appears when the last one is there. */
#include "pcapctl/local/local_download.h"

#include <errno.h>

#include "pcapctl/cli/interrupts.h"
#include "pcapctl/local/local_client.h"
#include "pcapctl/local/pcapng_probe.h"
#include "pcapctl/output/atomic_file.h"

#define TURN_MS 1000

struct taker {
	struct file_out *file;
	struct pcapng_glance *glance;
};

static bool take_bytes(void *ctx, const char *bytes, size_t size)
{
	const struct taker *taker = ctx;

	if (taker->glance)
		pcapng_glance_take(taker->glance, bytes, size);
	return file_out_write(taker->file, bytes, size) == 0;
}

int local_download(struct local_client *client, const struct local_file *wanted, char **name, struct error *err)
{
	cleanup(cleanup_file_out) struct file_out *file = file_out_new(wanted->to, err);
	struct taker taker = {file, wanted->glance};
	cleanup(cleanup_local_call) struct local_call *call = NULL;
	const json_t *json;
	int fd = interrupts_begin();
	int r = file ? 0 : -EIO;

	if (r == 0)
		call = local_call_start(
			client,
			&(struct local_ask){.method = "GET", .path = wanted->path, .put = take_bytes, .ctx = &taker},
			err);
	if (r == 0 && !call)
		r = -ENOMEM;
	while (r == 0 && !local_call_over(call)) {
		r = local_client_turn(client, TURN_MS, fd, err);
		if (r == 0 && interrupts_take() > 0)
			r = error_set(err, -EINTR, "interrupted; nothing was written");
	}
	if (r < 0)
		return r;
	if (file_out_write(file, "", 0) < 0) /* the disk, not the daemon */
		return file_out_finish(file, NULL, name, err);
	r = local_call_result(call, &json, err);
	if (r >= 300) {
		local_call_refusal(call, r, err);
		return -EINVAL;
	}
	return r < 0 ? r : file_out_finish(file, local_call_file_name(call), name, err);
}
