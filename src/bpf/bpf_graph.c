/* SPDX-License-Identifier: BSD-2-Clause */
/* The graph, with equal steps made once. bpf_emit.c writes it as a program. */
#include "bpf/bpf_graph.h"

#include <string.h>

#include "bpf/bpf_value.h"

void graph_clear(struct graph *graph)
{
	graph->count = 0;
	graph->full = false;
	for (unsigned i = 0; i < GRAPH_BUCKETS; i++)
		graph->buckets[i] = GRAPH_NONE;
}

static uint32_t add_step(struct graph *graph, struct step step)
{
	const uint32_t mixed =
		step.kind * 0x9e3779b1u + step.what * 0x85ebca6bu + step.yes * 0xc2b2ae35u + step.no * 0x27d4eb2fu;
	uint32_t *bucket = &graph->buckets[(mixed ^ mixed >> 15) % GRAPH_BUCKETS];

	for (uint32_t i = *bucket; i != GRAPH_NONE; i = graph->steps[i].next) {
		const struct step *other = &graph->steps[i];

		if (other->kind == step.kind && other->what == step.what && other->yes == step.yes &&
		    other->no == step.no)
			return i;
	}
	if (graph->count == GRAPH_STEPS_MAX) {
		graph->full = true;
		return 0;
	}
	step.next = *bucket;
	graph->steps[graph->count] = step;
	return *bucket = graph->count++;
}

uint32_t graph_return(struct graph *graph, uint32_t result)
{
	return add_step(graph, (struct step){.kind = STEP_RETURN, .what = result});
}

static uint32_t compute_all(struct graph *graph, const struct values *values, uint32_t value, uint32_t then)
{
	const struct value *item = &values->items[value];

	if (value_may_reject(values, value)) /* its operands are computed with it */
		return graph_compute(graph, values, value, then);
	if (item->kind == VALUE_BINARY)
		then = compute_all(graph, values, item->right, then);
	return item->kind == VALUE_BINARY || item->kind == VALUE_NEGATIVE ? compute_all(graph, values, item->left, then)
									  : then;
}

uint32_t graph_compare(struct graph *graph, const struct values *values, uint32_t test, uint32_t yes, uint32_t no)
{
	if (yes == no)
		return compute_all(graph, values, values->tests[test].value,
				   compute_all(graph, values, values->tests[test].operand, yes));
	return add_step(graph, (struct step){.kind = STEP_COMPARE, .what = test, .yes = yes, .no = no});
}

uint32_t graph_compute(struct graph *graph, const struct values *values, uint32_t value, uint32_t then)
{
	const struct step *step = &graph->steps[then];

	if (step->kind == STEP_RETURN && !step->what)
		return then;
	if (step->kind == STEP_COMPUTE && value_includes(values, step->what, value))
		return then;
	if (step->kind == STEP_COMPARE && (value_includes(values, values->tests[step->what].value, value) ||
					   value_includes(values, values->tests[step->what].operand, value)))
		return then;
	return add_step(graph, (struct step){.kind = STEP_COMPUTE, .what = value, .yes = then});
}

/* --- sorting --- */

#define CHAIN_MAX 1024 /* tests */
#define COMPUTED_MAX 16

/* Tests of which each leads to `exit` in one case and to the next in the other. */
struct chain {
	uint32_t count, exit;
	uint32_t end;		   /* where the last leads to otherwise */
	bool exit_rejects;	   /* then nothing needs to be computed before it */
	uint32_t slots[CHAIN_MAX]; /* their steps */
	uint32_t tests[CHAIN_MAX];
	bool exits_if[CHAIN_MAX]; /* the outcome that leads to `exit` */
	bool moved[CHAIN_MAX];
	uint32_t computed[COMPUTED_MAX]; /* values computed so far */
	uint32_t computed_count;
};

#define WAY_FIRST (UINT32_MAX - 1)
#define WAY_MANY UINT32_MAX

/* The step that leads to each up to `first`, plus 1; 0: it cannot be reached. */
static void find_ways(const struct graph *graph, uint32_t first, uint32_t *ways)
{
	memset(ways, 0, (first + 1) * sizeof(*ways));
	ways[first] = WAY_FIRST;
	for (uint32_t i = first + 1; i-- > 0;) {
		const struct step *step = &graph->steps[i];

		if (!ways[i] || step->kind == STEP_RETURN)
			continue;
		ways[step->yes] = ways[step->yes] ? WAY_MANY : i + 1;
		if (step->kind == STEP_COMPARE)
			ways[step->no] = ways[step->no] ? WAY_MANY : i + 1;
	}
}

static void find_chain(const struct graph *graph, const uint32_t *ways, uint32_t first, uint32_t exit,
		       struct chain *chain)
{
	chain->exit = exit;
	chain->count = 0;
	for (uint32_t i = first; chain->count < CHAIN_MAX;
	     i = graph->steps[i].yes == exit ? graph->steps[i].no : graph->steps[i].yes) {
		const struct step *step = &graph->steps[i];

		if (step->kind != STEP_COMPARE || (step->yes != exit && step->no != exit) ||
		    (chain->count && ways[i] == WAY_MANY))
			return;
		chain->slots[chain->count] = i;
		chain->tests[chain->count] = step->what;
		chain->exits_if[chain->count] = step->yes == exit;
		chain->moved[chain->count++] = false;
	}
}

/* Whether to compute it now can reject no packet. */
static bool is_computed(const struct values *values, const struct chain *chain, uint32_t value)
{
	const struct value *item = &values->items[value];

	if (value_may_reject(values, value)) {
		for (uint32_t i = 0; i < chain->computed_count; i++) {
			if (value_includes(values, chain->computed[i], value))
				return true;
		}
		return false;
	}
	return (item->kind != VALUE_BINARY && item->kind != VALUE_NEGATIVE) ||
	       (is_computed(values, chain, item->left) &&
		(item->kind == VALUE_NEGATIVE || is_computed(values, chain, item->right)));
}

static bool is_test_computed(const struct values *values, const struct chain *chain, uint32_t test)
{
	return is_computed(values, chain, values->tests[test].value) &&
	       is_computed(values, chain, values->tests[test].operand);
}

static void note_computed(const struct values *values, struct chain *chain, uint32_t value)
{
	if (!is_computed(values, chain, value) && chain->computed_count < COMPUTED_MAX)
		chain->computed[chain->computed_count++] = value;
}

static void fill_slot(struct graph *graph, struct chain *chain, uint32_t slot, uint32_t from)
{
	struct step *step = &graph->steps[chain->slots[slot]];
	const uint32_t next = slot + 1 < chain->count ? chain->slots[slot + 1] : chain->end;

	step->what = chain->tests[from];
	step->yes = chain->exits_if[from] ? chain->exit : next;
	step->no = chain->exits_if[from] ? next : chain->exit;
	chain->moved[from] = true;
}

/* Puts the tests of one value into the next slots. */
static uint32_t fill_slots(struct graph *graph, const struct values *values, struct chain *chain, uint32_t slot,
			   uint32_t value)
{
	for (uint32_t i = 0; i < chain->count; i++) {
		if (chain->moved[i])
			continue;
		if (values->tests[chain->tests[i]].value == value &&
		    (chain->exit_rejects || is_test_computed(values, chain, chain->tests[i])))
			fill_slot(graph, chain, slot++, i);
		else if (!chain->exit_rejects && !is_test_computed(values, chain, chain->tests[i]))
			break;
	}
	return slot;
}

/*
 * A test that comes before others must not exit where those would have rejected. `before`: the value of the test that
 * leads here, or VALUE_NONE.
 */
static void sort_chain(struct graph *graph, const struct values *values, struct chain *chain, uint32_t before)
{
	const struct step *last = &graph->steps[chain->slots[chain->count - 1]];
	const struct step *exit = &graph->steps[chain->exit];
	uint32_t slot = 0;

	chain->end = last->yes == chain->exit ? last->no : last->yes;
	chain->exit_rejects = exit->kind == STEP_RETURN && !exit->what;
	chain->computed_count = 0;
	if (before != VALUE_NONE) {
		note_computed(values, chain, before);
		slot = fill_slots(graph, values, chain, slot, before);
	}
	for (uint32_t i = 0; i < chain->count; i++) {
		const struct value_test *test = &values->tests[chain->tests[i]];

		if (chain->moved[i])
			continue;
		fill_slot(graph, chain, slot++, i);
		note_computed(values, chain, test->value);
		note_computed(values, chain, test->operand);
		slot = fill_slots(graph, values, chain, slot, test->value);
	}
}

static uint32_t value_before(const struct graph *graph, const struct values *values, uint32_t way)
{
	if (way == WAY_FIRST || way == WAY_MANY || graph->steps[way - 1].kind != STEP_COMPARE)
		return VALUE_NONE;
	return values->tests[graph->steps[way - 1].what].value;
}

void graph_sort(struct graph *graph, const struct values *values, uint32_t first)
{
	uint32_t ways[GRAPH_STEPS_MAX];
	bool sorted[GRAPH_STEPS_MAX];
	struct chain chain, other;

	memset(sorted, 0, (first + 1) * sizeof(*sorted));
	find_ways(graph, first, ways);
	for (uint32_t i = first + 1; i-- > 0;) {
		if (!ways[i] || sorted[i] || graph->steps[i].kind != STEP_COMPARE)
			continue;
		find_chain(graph, ways, i, graph->steps[i].yes, &chain);
		find_chain(graph, ways, i, graph->steps[i].no, &other);
		if (other.count > chain.count)
			chain = other;
		sort_chain(graph, values, &chain, value_before(graph, values, ways[i]));
		for (uint32_t s = 0; s + 1 < chain.count; s++)
			sorted[chain.slots[s]] = true;
	}
}
