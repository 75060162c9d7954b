/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a packet, over Ethernet and as raw IP. What a tunnel carries must lie in the packet, the filter for what
 * may be a tunnel must accept it, and what is found must not depend on bytes after it.
 */
#include <linux/if_packet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/packet.h"
#include "bpf/filter.h"
#include "bpf/tunnel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct filter *candidates(uint16_t linktype)
{
	const struct filter_options options = {.inner = "len >= 0", .linktype = linktype};
	struct filter *filter = NULL;
	struct error err;
	const char *field;

	if (filter_new(&options, &err, &field, &filter) < 0)
		abort();
	return filter;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t linktypes[] = {LINKTYPE_ETHERNET, LINKTYPE_RAW};
	static struct filter *filters[2];
	const uint32_t caplen = (uint32_t)size;

	for (unsigned i = 0; i < 2; i++) {
		struct tunnel_packet inner = {0}, shorter;
		uint8_t *packet = malloc(size ? size : 1); /* so that a sanitizer sees its end */

		if (!packet)
			return 0;
		if (size)
			memcpy(packet, data, size);
		if (!filters[i])
			filters[i] = candidates(linktypes[i]);
		const bool found = tunnel_find(packet, caplen, linktypes[i], &inner);
		if (found && inner.offset > caplen)
			abort();
		if (found && !tunnel_find(packet, inner.offset, linktypes[i], &shorter))
			abort();
		if (found && !filter_run(filters[i], packet, caplen, caplen, PACKET_HOST))
			abort();
		free(packet);
	}
	return 0;
}
