/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge_probe [-m] OUT LABEL=PATH...: merges capture files (-m: loads them into memory first). Prints one line per file
 * (label, packets, interfaces, texts omitted, error), then the number of late packets and by how many KiB the peak
 * memory of this process grew.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "pcapng/pcapng_merge.h"

static int open_input(char *argument, bool in_memory, struct pcapng_merge_input *input)
{
	char *path = strchr(argument, '=');
	struct stat file;

	if (!path)
		return -EINVAL;
	*path++ = '\0';
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &file) < 0)
		return -errno;
	*input = (struct pcapng_merge_input){argument, {.fd = fd, .size_bytes = (uint64_t)file.st_size}};
	if (!in_memory)
		return 0;
	uint8_t *bytes = malloc((size_t)file.st_size + 1);
	if (!bytes || byte_range_read(&input->bytes, 0, bytes, (size_t)file.st_size) != file.st_size)
		return -EIO;
	input->bytes.bytes = bytes;
	return 0;
}

static int write_stream(const struct byte_stream *stream, const char *path)
{
	cleanup(cleanup_fclose) FILE *out = fopen(path, "wbe");
	static uint8_t bytes[65536];
	uint64_t written = 0;

	if (!out)
		return -errno;
	for (size_t size; (size = stream->read(stream->ctx, bytes, sizeof(bytes))) > 0; written += size)
		if (fwrite(bytes, 1, size, out) != size)
			return -EIO;
	return fflush(out) == 0 && written == stream->size_bytes ? 0 : -EIO;
}

/* This program's own peak memory in KiB; the peak of getrusage() survives exec(2). */
static long own_peak(void)
{
	cleanup(cleanup_fclose) FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	while (status && kib < 0 && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %ld", &kib) != 1)
			kib = -1;
	return kib;
}

static void print_reports(const struct pcapng_merge *merge, const struct pcapng_merge_input *inputs, size_t count,
			  long peak_before)
{
	for (size_t i = 0; i < count; i++) {
		const struct pcapng_merge_report report = pcapng_merge_report(merge, i);

		printf("%s|%" PRIu64 "|%zu|%" PRIu64 "|%s\n", inputs[i].label, report.packets, report.interfaces,
		       report.texts_omitted, report.error_code < 0 ? report.error : "");
	}
	printf("%" PRIu64 "|%ld\n", pcapng_merge_late(merge), own_peak() - peak_before);
}

int main(int argc, char **argv)
{
	static struct pcapng_merge_input inputs[PCAPNG_MERGE_INPUTS_MAX];
	const bool in_memory = argc > 1 && strcmp(argv[1], "-m") == 0;
	char **arguments = argv + 1 + in_memory;
	const size_t count = argc > 2 + in_memory ? (size_t)argc - 2 - in_memory : 0;
	cleanup(cleanup_pcapng_merge) struct pcapng_merge *merge = NULL;
	struct error error = {""};
	const long peak_before = own_peak();

	if (count == 0 || count > PCAPNG_MERGE_INPUTS_MAX)
		return 2;
	for (size_t i = 0; i < count; i++)
		if (open_input(arguments[1 + i], in_memory, &inputs[i]) < 0)
			return 2;
	int r = pcapng_merge_new(inputs, count, &(const struct pcapng_merge_maker){.application = "merge_probe 1"},
				 &merge, &error);
	if (r == 0) {
		const struct byte_stream stream = pcapng_merge_stream(merge);

		r = write_stream(&stream, arguments[0]);
		if (r == 0)
			r = pcapng_merge_failed(merge, &error);
	}
	if (r < 0) {
		fprintf(stderr, "merge_probe: %d: %s\n", r, error.text);
		return 1;
	}
	print_reports(merge, inputs, count, peak_before);
	return 0;
}
