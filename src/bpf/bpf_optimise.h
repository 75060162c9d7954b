/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a BPF program short and fast, with the same result for every packet, truncated ones included. libpcap's own
 * optimiser is faster to write and sometimes wrong.
 */
#pragma once

struct bpf_insn;

/*
 * Writes the better program into `result`, which has room for `count` instructions, as many as `program` has. Returns
 * its length; 0 if there is no better one (the program has loops, or is too large); or -ENOMEM.
 */
int bpf_optimise(const struct bpf_insn *program, unsigned count, struct bpf_insn *result);
