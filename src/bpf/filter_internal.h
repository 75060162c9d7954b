/* SPDX-License-Identifier: BSD-2-Clause */
/* What filter.c knows of a filter and filter_union.c makes use of. Internal to the two. */
#pragma once

#include <assert.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>

#include "bpf/filter.h"

static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "one layout");

struct filter {
	struct bpf_program program;
	struct bpf_vm *vm;	 /* runs it */
	uint32_t reach_absolute; /* likewise, of loads at fixed offsets */
	uint32_t reach_indexed;	 /* of loads behind the index register: without what that holds */
	uint32_t reach;		 /* no load goes beyond this offset; REACH_UNKNOWN: cannot be told */
	uint32_t min_bytes;	 /* bytes that a packet must have to be shown to it by the union */
	bool kernel_compatible;	 /* the kernel comes to libpcap's verdict, and goes on behind it */
};

/* Bytes that a load instruction reads. */
static inline uint32_t filter_load_width(uint16_t code)
{
	switch (BPF_SIZE(code)) {
	case BPF_W:
		return 4;
	case BPF_H:
		return 2;
	default:
		return 1;
	}
}
