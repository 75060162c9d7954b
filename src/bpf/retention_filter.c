/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BPF programs decide which packets to keep and how much of each, so the kernel and the reader cannot disagree.
 */
#include "bpf/retention_filter.h"

#include <errno.h>
#include <pcap/pcap.h>

#include <linux/filter.h>

#include "base/packet.h"
#include "bpf/bpf_vm.h"
#include "bpf/filter.h"
#include "bpf/headers.h"

#define HEADERS_SNAPLEN 1024 /* more than any headers that the program recognises */

struct retention_filter {
	struct filter *filter;
	uint32_t snaplen;
	bool headers;
	struct bpf_vm *length;
	size_t kernel_count;
	struct sock_filter kernel_length[HEADERS_PROGRAM_MAX]; /* keeps enough for the filter to be repeated */
};

int retention_filter_new(const struct retention_filter_options *options, uint16_t linktype, struct error *err,
			 struct retention_filter **result)
{
	*result = NULL;
	if ((!options->bpf || !*options->bpf) && !options->headers && options->snaplen >= PACKET_SNAPLEN_MAX)
		return 0;
	if (options->headers && !headers_knows(linktype))
		return error_set(err, -EINVAL, "the headers of packets with link type %u are not known", linktype);
	cleanup(cleanup_retention_filter) struct retention_filter *retention = calloc(1, sizeof(*retention));
	if (!retention)
		return error_set(err, -ENOMEM, "out of memory");
	int r = filter_compile_with_netmask(options->bpf, linktype, options->netmask, err, &retention->filter);
	if (r < 0)
		return r;
	const uint32_t reach = retention->filter ? filter_reach(retention->filter) : 0;
	retention->headers = options->headers;
	retention->snaplen = options->headers ? HEADERS_SNAPLEN : options->snaplen;
	cleanup(cleanup_free) struct sock_filter *length = calloc(HEADERS_PROGRAM_MAX, sizeof(*length));
	if (!length)
		return error_set(err, -ENOMEM, "out of memory");
	const uint32_t kernel_snaplen = reach > options->snaplen ? reach : options->snaplen;
	size_t count = 1;
	*length = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, options->snaplen);
	*retention->kernel_length = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, kernel_snaplen);
	if (options->headers)
		count = headers_program(linktype, 0, length);
	/* The kernel sees packets of Linux cooked mode without that header. */
	const uint16_t kernel_linktype = linktype == LINKTYPE_LINUX_SLL2 ? LINKTYPE_RAW : linktype;
	retention->kernel_count =
		options->headers ? headers_program(kernel_linktype, reach, retention->kernel_length) : 1;
	/* struct sock_filter and struct bpf_insn have the same layout. */
	retention->length = bpf_vm_new((const struct bpf_insn *)length, (unsigned)count);
	if (!retention->length)
		return error_set(err, -ENOMEM, "out of memory");
	*result = take(retention);
	return 0;
}

void retention_filter_free(struct retention_filter *retention)
{
	if (!retention)
		return;
	bpf_vm_free(retention->length);
	filter_free(retention->filter);
	free(retention);
}

uint32_t retention_filter_kept_bytes(const struct retention_filter *retention, const uint8_t *packet, uint32_t wirelen,
				     uint32_t caplen, unsigned type)
{
	if (retention->filter && !filter_run(retention->filter, packet, wirelen, caplen, type))
		return 0;
	/* 0: cut inside its headers */
	const uint32_t length = bpf_vm_run(retention->length, packet, wirelen, caplen, type);
	return length && length < caplen ? length : caplen;
}

const struct filter *retention_filter_selector(const struct retention_filter *retention)
{
	return retention->filter;
}

const struct sock_filter *retention_filter_length_program(const struct retention_filter *retention, size_t *count)
{
	*count = retention->kernel_count;
	return retention->kernel_length;
}

uint32_t retention_filter_snaplen(const struct retention_filter *retention)
{
	return retention->snaplen;
}

bool retention_filter_may_hide(const struct retention_filter *retention, const struct filter *filter)
{
	if (!retention)
		return false;
	if (retention->filter && !(filter && filter_equal(retention->filter, filter)))
		return true;
	if (!filter)
		return false;
	return retention->headers ? !filter_reads_headers_only(filter) : filter_reach(filter) > retention->snaplen;
}
