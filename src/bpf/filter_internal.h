/* SPDX-License-Identifier: BSD-2-Clause */
/* A compiled filter and what filter.c found out about it. Internal to filter.c and filter_union.c. */
#pragma once

#include <assert.h>
#include <pcap/pcap.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>

#include "bpf/filter.h"

static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "one layout");

/* What the packet in a tunnel must match, compiled for what it may begin with. */
struct inner_filter {
	struct filter *ethernet, *raw; /* NULL: no packet that begins with it matches */
};

struct filter {
	atomic_uint references;
	uint16_t linktype;
	struct inner_filter *inner; /* NULL: none. `program` then accepts only what may be a tunnel */
	struct bpf_program program;
	struct bpf_program kernel; /* the same for the kernel; the instructions are those of `program`, or its own */
	struct bpf_vm *vm;	   /* runs `program` */
	uint32_t reach_absolute;   /* end of the furthest load at a fixed offset */
	uint32_t reach_indexed;	   /* likewise of loads relative to the index register, without its value */
	uint32_t reach;		   /* end of the furthest load of any kind; REACH_UNKNOWN: unknown */
	uint32_t min_bytes;	   /* packets shorter than this are not passed to it by the union */
	bool kernel_compatible;	   /* the kernel reaches libpcap's verdict and can continue after the program */
};

/* 0, or -EINVAL: there are more than FILTER_TERMS_MAX. */
warn_unused int filter_check_terms(const char *expression, struct error *err);

/* Whether it loads the packet's type (SKF_AD_PKTTYPE), as "inbound" and "outbound" do, and not a part of the packet. */
static inline bool filter_loads_type(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS &&
	       insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE);
}

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
