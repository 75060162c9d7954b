/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiles filters, those with names with a deadline. Part of bpf; not for other folders. */
#pragma once

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define FILTER_LOOKUP_S 5     /* the longest that compiling a filter may take for its names */
#define FILTER_LOOKUPS_MAX 32 /* filters being compiled with names at a time, those given up on included */

/* What libpcap is to compile. */
struct filter_source {
	const char *expression;
	int dlt;
	uint32_t netmask; /* as pcap_compile() takes it */
};

/*
 * As pcap_compile(), without its optimiser: 0 and the caller owns the program; -EINVAL with libpcap's message; -ENOMEM.
 * With names in the expression also -ETIMEDOUT, or -EAGAIN: too many are being looked up.
 */
warn_unused int filter_compile_source(const struct filter_source *source, struct error *err,
				      struct bpf_program *program);
