/*
 * Runs classic BPF programs over packets, some three times as fast as libpcap's interpreter and with the same answers
 * (tests/fuzz/fuzz_filter.c compares the two). Immutable once made; any number of threads may run it.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"

struct bpf_insn;
struct machine;

#define MACHINE_PROGRAM_MAX 65535 /* instructions */

/* A valid program as pcap_compile makes it; it is copied. NULL on ENOMEM, or if it is too long or has an instruction
 * that is unknown. */
struct machine *machine_new(const struct bpf_insn *program, unsigned count);
void machine_free(struct machine *machine);

/* What the program returns for `caplen` bytes of a packet that had `wirelen`; a load beyond the bytes rejects (0). */
uint32_t machine_run(const struct machine *machine, const uint8_t *packet, uint32_t wirelen, uint32_t caplen);

CLEANUP_DEFINE(machine, struct machine, machine_free)
