/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A filter as a graph of decisions without loops, and its way back into a classic BPF program. Equal parts of the graph
 * are one part. Internal to the optimiser.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct bpf_insn;
struct values;

#define GRAPH_STEPS_MAX 32768
#define GRAPH_NONE UINT32_MAX

enum step_kind {
	STEP_RETURN,  /* `what` is the result */
	STEP_COMPARE, /* `what` is a test of the values; go on at yes or no */
	STEP_COMPUTE, /* `what` is a value, computed because it may reject the packet; go on at yes */
};

struct step {
	uint16_t kind;
	uint32_t what, yes, no;
	uint32_t next; /* of the same hash */
};

#define GRAPH_BUCKETS 4096

/* Steps are made from the end to the beginning: those that one leads to have smaller numbers. */
struct graph {
	uint32_t count;
	bool full; /* something did not fit: the graph is void */
	uint32_t buckets[GRAPH_BUCKETS];
	struct step steps[GRAPH_STEPS_MAX];
};

void graph_clear(struct graph *graph);
uint32_t graph_return(struct graph *graph, uint32_t result);
/* The step at `yes`, if both lead there and nothing that the test computes can reject. */
uint32_t graph_compare(struct graph *graph, const struct values *values, uint32_t test, uint32_t yes, uint32_t no);
/* The step at `then`, if it does the same, or if it rejects the packet anyway. */
uint32_t graph_compute(struct graph *graph, const struct values *values, uint32_t value, uint32_t then);

/*
 * Tests that lead to one place in one case and to the next of them in the other can have any order. Brings together
 * those of one value, as far as no load comes later than before on a way that may accept. The last change to a graph.
 */
void graph_sort(struct graph *graph, const struct values *values, uint32_t first);

/*
 * Writes the program that begins at step `first`, of at most `max` instructions. All its jumps go forward. Returns how
 * many there are, 0 if they are more, or a negative errno: -ENOMEM.
 */
int graph_emit(const struct graph *graph, const struct values *values, uint32_t first, struct bpf_insn *program,
	       unsigned max);
