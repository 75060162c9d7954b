/* SPDX-License-Identifier: BSD-2-Clause */
/* Scans the inputs, then has capture_file write their description and the packets in time order. */
#include "pcapng/pcapng_merge.h"

#include <errno.h>

#include "pcapng/capture_file.h"
#include "pcapng/merge_order.h"
#include "pcapng/merge_scan.h"

struct pcapng_merge {
	struct merge_description description;
	struct merge_order *order;
	struct capture_file *file;
	size_t count;
	struct merge_input inputs[];
};

static int scan_inputs(struct pcapng_merge *merge, const struct pcapng_merge_input *inputs, const char *missing)
{
	const size_t text_share = merge->count > 0 ? PCAPNG_MERGE_TEXT_MAX / merge->count : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < merge->count; i++) {
		r = merge_input_init(&merge->inputs[i], inputs[i].label, &inputs[i].bytes);
		if (r == 0)
			r = merge_scan(&merge->description, &merge->inputs[i], text_share);
	}
	return r == 0 ? merge_describe(&merge->description, merge->inputs, merge->count, missing) : r;
}

static int make_file(struct pcapng_merge *merge, const char *application)
{
	const struct capture_file_info info = {.application = application,
					       .comments = merge->description.comments,
					       .comment_count = merge->description.comment_count,
					       .interfaces = merge->description.interfaces,
					       .interface_count = merge->description.interface_count};

	merge->order = merge_order_new(merge->inputs, merge->count, PCAPNG_MERGE_WINDOW);
	if (!merge->order)
		return -ENOMEM;
	merge->file = capture_file_new(CAPTURE_FILE_PCAPNG, &info, merge_order_source(merge->order));
	return merge->file ? merge_order_failed(merge->order, NULL) : -ENOMEM;
}

int pcapng_merge_new(const struct pcapng_merge_input *inputs, size_t count, const struct pcapng_merge_maker *maker,
		     struct pcapng_merge **merge, struct error *error)
{
	if (count > PCAPNG_MERGE_INPUTS_MAX)
		return error_set(error, -E2BIG, "%zu files to merge; at most %d", count, PCAPNG_MERGE_INPUTS_MAX);

	cleanup(cleanup_pcapng_merge) struct pcapng_merge *made =
		calloc(1, sizeof(*made) + count * sizeof(*made->inputs));
	if (!made)
		return error_set(error, -ENOMEM, "no memory to merge");
	made->count = count;
	int r = scan_inputs(made, inputs, maker->missing);
	if (r == 0)
		r = make_file(made, maker->application);
	if (r == -ENOMEM)
		return error_set(error, r, "no memory to merge");
	if (r < 0)
		return merge_order_failed(made->order, error);
	*merge = take(made);
	return 0;
}

void pcapng_merge_free(struct pcapng_merge *merge)
{
	if (!merge)
		return;

	capture_file_free(merge->file);
	merge_order_free(merge->order);
	merge_description_deinit(&merge->description);
	for (size_t i = 0; i < merge->count; i++)
		merge_input_deinit(&merge->inputs[i]);
	free(merge);
}

struct pcapng_merge_report pcapng_merge_report(const struct pcapng_merge *merge, size_t input)
{
	const struct merge_input *of = &merge->inputs[input];

	return (struct pcapng_merge_report){.packets = of->packets,
					    .interfaces = of->interface_count,
					    .texts_omitted = of->texts_omitted,
					    .error_code = of->error_code,
					    .error = of->error.text};
}

uint64_t pcapng_merge_late(const struct pcapng_merge *merge)
{
	return merge_order_late(merge->order);
}

struct byte_stream pcapng_merge_stream(struct pcapng_merge *merge)
{
	return capture_file_stream(merge->file);
}

int pcapng_merge_failed(const struct pcapng_merge *merge, struct error *error)
{
	return merge_order_failed(merge->order, error);
}
