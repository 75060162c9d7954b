/* Both answers come from BPF programs, so that the kernel and the reader cannot disagree. */
#include "bpf/retention_filter.h"

#include <errno.h>
#include <pcap/pcap.h>

#include <linux/filter.h>

#include "bpf/bpf_vm.h"
#include "bpf/filter.h"
#include "bpf/headers.h"

#define SNAPLEN_WHOLE 65535  /* from here on nothing is cut */
#define HEADERS_SNAPLEN 1024 /* more than any headers that the program knows */

struct keep {
	struct filter *filter;
	uint32_t snaplen;
	bool headers;
	struct machine *length;
	size_t kernel_count;
	struct sock_filter kernel_length[HEADERS_PROGRAM_MAX]; /* leaves enough for the filter to be repeated */
};

int keep_new(const struct keep_options *options, uint16_t linktype, struct error *err, struct keep **result)
{
	*result = NULL;
	if ((!options->bpf || !*options->bpf) && !options->headers && options->snaplen >= SNAPLEN_WHOLE)
		return 0;
	cleanup(cleanup_keep) struct keep *keep = calloc(1, sizeof(*keep));
	if (!keep)
		return error_set(err, -ENOMEM, "out of memory");
	int r = filter_compile(options->bpf, linktype, err, &keep->filter);
	if (r < 0)
		return r;
	const uint32_t reach = keep->filter ? filter_reach(keep->filter) : 0;
	keep->headers = options->headers;
	keep->snaplen = options->headers ? HEADERS_SNAPLEN : options->snaplen;
	cleanup(cleanup_free) struct sock_filter *length = calloc(HEADERS_PROGRAM_MAX, sizeof(*length));
	if (!length)
		return error_set(err, -ENOMEM, "out of memory");
	const uint32_t kernel_snaplen = reach > options->snaplen ? reach : options->snaplen;
	size_t count = 1;
	*length = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, options->snaplen);
	*keep->kernel_length = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, kernel_snaplen);
	if (options->headers)
		count = headers_program(linktype, 0, length);
	keep->kernel_count = options->headers ? headers_program(linktype, reach, keep->kernel_length) : 1;
	/* struct sock_filter and struct bpf_insn are one layout. */
	keep->length = machine_new((const struct bpf_insn *)length, (unsigned)count);
	if (!keep->length)
		return error_set(err, -ENOMEM, "out of memory");
	*result = take(keep);
	return 0;
}

void keep_free(struct keep *keep)
{
	if (!keep)
		return;
	machine_free(keep->length);
	filter_free(keep->filter);
	free(keep);
}

uint32_t keep_bytes(const struct keep *keep, const uint8_t *packet, uint32_t wirelen, uint32_t caplen)
{
	if (keep->filter && !filter_run(keep->filter, packet, wirelen, caplen))
		return 0;
	const uint32_t length = machine_run(keep->length, packet, wirelen, caplen); /* 0: cut inside its headers */
	return length && length < caplen ? length : caplen;
}

const struct filter *keep_filter(const struct keep *keep)
{
	return keep->filter;
}

const struct sock_filter *keep_length_program(const struct keep *keep, size_t *count)
{
	*count = keep->kernel_count;
	return keep->kernel_length;
}

uint32_t keep_snaplen(const struct keep *keep)
{
	return keep->snaplen;
}

bool keep_may_hide(const struct keep *keep, const struct filter *filter)
{
	if (!keep)
		return false;
	if (keep->filter && !(filter && filter_same(keep->filter, filter)))
		return true;
	if (!filter)
		return false;
	return keep->headers ? !filter_reads_headers_only(filter) : filter_reach(filter) > keep->snaplen;
}
