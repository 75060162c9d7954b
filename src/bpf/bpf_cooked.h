/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs for LINKTYPE_LINUX_SLL2 as the kernel can run them: on a SOCK_DGRAM packet socket it sees the packet without
 * the header, and has what stands in it as ancillary data (linux/filter.h).
 */
#pragma once

#include <stdbool.h>

struct bpf_insn;

/* Rewrites the program in place. False: the kernel cannot run it, and some instructions may be rewritten. */
bool bpf_cooked_to_kernel(struct bpf_insn *program, unsigned count);

/* Whether a program that was rewritten loads ancillary data here, not a part of the packet. */
bool bpf_cooked_loads_ancillary(const struct bpf_insn *insn);
