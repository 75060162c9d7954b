/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three passes:
 *
 * 1. The program is read as nodes, each a test or a return, with the values it computes (bpf_value.h).
 * 2. From the beginning, each node is visited with what the tests on the way to it have shown, as far as a later test
 *    depends on it. That is a node's state. A test whose outcome is known is passed over. Where a node would have too
 *    many states, or they make the program long, it has one, with what all ways to it have in common.
 * 3. From the end, each state becomes a step of the graph (bpf_graph.h), which shares equal parts and becomes a program
 *    again.
 *
 * A load beyond the packet rejects it, even if nothing uses what it loads. So values that may reject are computed on
 * every way that may accept.
 */
#include "bpf/bpf_optimise.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/bpf_graph.h"
#include "bpf/bpf_value.h"

#define NODES_MAX 16384
#define EFFECTS_MAX 65536
#define STATES_MAX 32768
#define STATE_BUCKETS 8192
#define NONE UINT32_MAX
#define REG_A BPF_MEMWORDS
#define REG_X (BPF_MEMWORDS + 1)
#define REGS (BPF_MEMWORDS + 2)

/* What runs from an instruction to the next test or return. */
struct node {
	uint32_t pc, next_at_pc;
	uint32_t regs[REGS];		     /* at its begin; VALUE_NONE: not used after it */
	uint32_t first_effect, effect_count; /* values that may reject */
	bool returns;			     /* `what` is the result, not a test */
	uint32_t what;
	uint32_t yes, no; /* nodes */
	uint32_t states;  /* the first of them */
};

struct state {
	uint32_t node, next_of_node, next_of_hash;
	uint32_t yes, no; /* states; NONE: not reached */
	uint32_t step;
};

/*
 * The tables have room for the largest program, and most programs use a hundredth of it. So what is counted is written
 * before it is read, and never zeroed: that took nine tenths of the time.
 */
struct optimiser {
	const struct bpf_insn *program;
	unsigned count;
	bool failed;	/* something did not fit */
	bool one_state; /* a node */
	struct values *values;
	struct graph *graph;
	uint32_t *live;	      /* registers used at or after each instruction: one bit each */
	uint32_t *node_at_pc; /* first node of an instruction */
	struct node *nodes;
	uint32_t node_count;
	uint32_t *order; /* nodes; each follows those that lead to it */
	uint32_t order_count;
	uint32_t *effects;
	uint32_t effect_count;
	struct state *states;
	uint32_t state_count;
	uint32_t *state_buckets;
	/* Sets of tests, `words` each. */
	unsigned words;
	uint64_t *later;	 /* of a node: its test and those after it */
	uint64_t *known, *truth; /* of a state: tests with a known outcome, and which of them hold */
	uint64_t *next_known, *next_truth;
};

/* --- registers --- */

static bool writes_a(uint16_t code)
{
	return BPF_CLASS(code) == BPF_LD || BPF_CLASS(code) == BPF_ALU || code == (BPF_MISC | BPF_TXA);
}

static bool reads_a(uint16_t code)
{
	return BPF_CLASS(code) == BPF_ST || BPF_CLASS(code) == BPF_ALU || code == (BPF_MISC | BPF_TAX) ||
	       (BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_JA);
}

static bool writes_x(uint16_t code)
{
	return BPF_CLASS(code) == BPF_LDX || code == (BPF_MISC | BPF_TAX);
}

static bool reads_x(uint16_t code)
{
	return BPF_CLASS(code) == BPF_STX || code == (BPF_MISC | BPF_TXA) ||
	       (BPF_CLASS(code) == BPF_LD && BPF_MODE(code) == BPF_IND) ||
	       (BPF_CLASS(code) == BPF_ALU && BPF_OP(code) != BPF_NEG && BPF_SRC(code) == BPF_X) ||
	       (BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_JA && BPF_SRC(code) == BPF_X);
}

/* All jumps go forward, so one pass from the end suffices. */
static void find_live(struct optimiser *o)
{
	for (unsigned i = o->count; i-- > 0;) {
		const struct bpf_insn *insn = &o->program[i];
		const uint16_t code = insn->code;
		uint32_t live = 0;

		if (BPF_CLASS(code) == BPF_JMP && BPF_OP(code) == BPF_JA)
			live = o->live[i + 1 + insn->k];
		else if (BPF_CLASS(code) == BPF_JMP)
			live = o->live[i + 1 + insn->jt] | o->live[i + 1 + insn->jf];
		else if (BPF_CLASS(code) != BPF_RET)
			live = o->live[i + 1];
		if (writes_a(code))
			live &= ~(1u << REG_A);
		if (writes_x(code))
			live &= ~(1u << REG_X);
		if (BPF_CLASS(code) == BPF_ST || BPF_CLASS(code) == BPF_STX)
			live &= ~(1u << insn->k);
		if (reads_a(code))
			live |= 1u << REG_A;
		if (reads_x(code))
			live |= 1u << REG_X;
		if ((BPF_CLASS(code) == BPF_LD || BPF_CLASS(code) == BPF_LDX) && BPF_MODE(code) == BPF_MEM)
			live |= 1u << insn->k;
		o->live[i] = live;
	}
}

/* Whether it is a program of the kind that libpcap writes: only forward jumps, only constant results. */
static bool is_supported(const struct bpf_insn *program, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct bpf_insn *insn = &program[i];
		const unsigned class = BPF_CLASS(insn->code);

		if (insn->code == (BPF_JMP | BPF_JA) && insn->k >= count - i - 1)
			return false;
		if (class == BPF_JMP && insn->code != (BPF_JMP | BPF_JA) &&
		    (i + 1 + insn->jt >= count || i + 1 + insn->jf >= count))
			return false;
		if (class == BPF_RET && BPF_RVAL(insn->code) != BPF_K)
			return false;
		if ((class == BPF_ST || class == BPF_STX ||
		     ((class == BPF_LD || class == BPF_LDX) && BPF_MODE(insn->code) == BPF_MEM)) &&
		    insn->k >= BPF_MEMWORDS)
			return false;
	}
	return count && BPF_CLASS(program[count - 1].code) == BPF_RET;
}

/* --- 1: nodes --- */

static uint32_t find_node(struct optimiser *o, uint32_t pc, const uint32_t *regs)
{
	uint32_t used[REGS];

	for (unsigned r = 0; r < REGS; r++)
		used[r] = o->live[pc] & 1u << r ? regs[r] : VALUE_NONE;
	for (uint32_t i = o->node_at_pc[pc]; i != NONE; i = o->nodes[i].next_at_pc) {
		if (memcmp(o->nodes[i].regs, used, sizeof(used)) == 0)
			return i;
	}
	if (o->node_count == NODES_MAX) {
		o->failed = true;
		return 0;
	}
	struct node *node = &o->nodes[o->node_count];
	*node = (struct node){.pc = pc, .next_at_pc = o->node_at_pc[pc]};
	memcpy(node->regs, used, sizeof(used));
	return o->node_at_pc[pc] = o->node_count++;
}

/* False: it always rejects. */
static bool note_effect(struct optimiser *o, struct node *node, uint32_t value)
{
	if (value_always_rejects(o->values, value))
		return false;
	if (!value_may_reject(o->values, value))
		return true;
	if (o->effect_count == EFFECTS_MAX) {
		o->failed = true;
		return true;
	}
	o->effects[o->effect_count++] = value;
	node->effect_count++;
	return true;
}

static uint32_t run_load(struct values *values, const struct bpf_insn *insn, const uint32_t *regs)
{
	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		return value_constant(values, insn->k);
	case BPF_LEN:
		return value_length(values);
	case BPF_MEM:
		return regs[insn->k];
	case BPF_MSH:
		return value_header_length(values, insn->k);
	case BPF_IND:
		return value_indexed(values, BPF_SIZE(insn->code), insn->k, regs[REG_X]);
	default:
		return value_absolute(values, BPF_SIZE(insn->code), insn->k);
	}
}

static uint32_t run_arithmetic(struct values *values, const struct bpf_insn *insn, const uint32_t *regs)
{
	if (BPF_OP(insn->code) == BPF_NEG)
		return value_negative(values, regs[REG_A]);
	const uint32_t right = BPF_SRC(insn->code) == BPF_X ? regs[REG_X] : value_constant(values, insn->k);
	return value_binary(values, BPF_OP(insn->code), regs[REG_A], right);
}

/* Sets what one instruction other than a jump or return sets. False: it always rejects. */
static bool run_instruction(struct optimiser *o, struct node *node, const struct bpf_insn *insn, uint32_t *regs)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		regs[REG_A] = run_load(o->values, insn, regs);
		return note_effect(o, node, regs[REG_A]);
	case BPF_LDX:
		regs[REG_X] = run_load(o->values, insn, regs);
		return note_effect(o, node, regs[REG_X]);
	case BPF_ALU:
		regs[REG_A] = run_arithmetic(o->values, insn, regs);
		return note_effect(o, node, regs[REG_A]);
	case BPF_ST:
		regs[insn->k] = regs[REG_A];
		return true;
	case BPF_STX:
		regs[insn->k] = regs[REG_X];
		return true;
	default:
		if (insn->code == (BPF_MISC | BPF_TAX))
			regs[REG_X] = regs[REG_A];
		else
			regs[REG_A] = regs[REG_X];
		return true;
	}
}

static void run_node(struct optimiser *o, struct node *node)
{
	uint32_t regs[REGS], pc = node->pc;

	memcpy(regs, node->regs, sizeof(regs));
	node->first_effect = o->effect_count;
	node->returns = true;
	while (!o->failed && !o->values->full) {
		const struct bpf_insn *insn = &o->program[pc];

		if (BPF_CLASS(insn->code) == BPF_RET) {
			node->what = insn->k;
			return;
		}
		if (insn->code == (BPF_JMP | BPF_JA)) {
			pc += 1 + insn->k;
		} else if (BPF_CLASS(insn->code) == BPF_JMP) {
			const uint32_t operand =
				BPF_SRC(insn->code) == BPF_X ? regs[REG_X] : value_constant(o->values, insn->k);
			const struct value_verdict verdict =
				value_compare(o->values, BPF_OP(insn->code), regs[REG_A], operand);
			const uint32_t yes = pc + 1 + (verdict.inverted ? insn->jf : insn->jt);
			const uint32_t no = pc + 1 + (verdict.inverted ? insn->jt : insn->jf);

			if (verdict.test != VALUE_NONE) {
				node->returns = false;
				node->what = verdict.test;
				node->yes = find_node(o, yes, regs);
				node->no = find_node(o, no, regs);
				return;
			}
			pc += 1 + (verdict.inverted ? insn->jt : insn->jf);
		} else {
			if (!run_instruction(o, node, insn, regs)) {
				node->what = 0;
				return;
			}
			pc++;
		}
	}
}

/* Jumps go forward, so the order of their instructions is one in which nodes follow those that lead to them. */
static void read_program(struct optimiser *o)
{
	uint32_t regs[REGS];

	for (unsigned r = 0; r < REGS; r++)
		regs[r] = value_constant(o->values, 0);
	memset(o->node_at_pc, 0xff, o->count * sizeof(*o->node_at_pc));
	find_node(o, 0, regs);
	for (uint32_t pc = 0; pc < o->count; pc++) {
		for (uint32_t i = o->node_at_pc[pc]; i != NONE && !o->failed; i = o->nodes[i].next_at_pc) {
			o->order[o->order_count++] = i;
			run_node(o, &o->nodes[i]);
		}
	}
	o->failed |= o->values->full;
}

static void set_bit(uint64_t *set, uint32_t bit)
{
	set[bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool has_bit(const uint64_t *set, uint32_t bit)
{
	return set[bit / 64] >> bit % 64 & 1;
}

static void find_later_tests(struct optimiser *o)
{
	for (uint32_t i = o->order_count; i-- > 0;) {
		const struct node *node = &o->nodes[o->order[i]];
		uint64_t *later = o->later + (size_t)o->order[i] * o->words;

		if (node->returns)
			continue;
		for (unsigned w = 0; w < o->words; w++)
			later[w] =
				o->later[(size_t)node->yes * o->words + w] | o->later[(size_t)node->no * o->words + w];
		set_bit(later, node->what);
	}
}

/* --- 2: states --- */

/* Adds what `known` and `truth` show to the node's one state. */
static void merge_state(struct optimiser *o, uint32_t state, const uint64_t *known, const uint64_t *truth)
{
	uint64_t *old_known = o->known + (size_t)state * o->words, *old_truth = o->truth + (size_t)state * o->words;

	for (unsigned w = 0; w < o->words; w++) {
		old_known[w] &= known[w] & ~(old_truth[w] ^ truth[w]);
		old_truth[w] &= old_known[w];
	}
}

static uint32_t find_state(struct optimiser *o, uint32_t node, const uint64_t *known, const uint64_t *truth)
{
	const size_t bytes = o->words * sizeof(uint64_t);
	uint64_t hash = node;

	if (o->one_state && o->nodes[node].states != NONE) {
		merge_state(o, o->nodes[node].states, known, truth);
		return o->nodes[node].states;
	}
	for (unsigned w = 0; w < o->words; w++)
		hash = (hash ^ known[w]) * 0x9e3779b97f4a7c15 + (truth[w] ^ hash >> 29) * 0xc2b2ae3d27d4eb4f;
	uint32_t *bucket = &o->state_buckets[(hash ^ hash >> 32) % STATE_BUCKETS];
	for (uint32_t i = *bucket; i != NONE; i = o->states[i].next_of_hash) {
		if (o->states[i].node == node && memcmp(o->known + (size_t)i * o->words, known, bytes) == 0 &&
		    memcmp(o->truth + (size_t)i * o->words, truth, bytes) == 0)
			return i;
	}
	if (o->state_count == STATES_MAX) {
		o->failed = true;
		return 0;
	}
	o->states[o->state_count] = (struct state){
		.node = node, .next_of_node = o->nodes[node].states, .next_of_hash = *bucket, .yes = NONE, .no = NONE};
	memcpy(o->known + (size_t)o->state_count * o->words, known, bytes);
	memcpy(o->truth + (size_t)o->state_count * o->words, truth, bytes);
	o->nodes[node].states = o->state_count;
	return *bucket = o->state_count++;
}

/* The state at `to` after the test of `state` has had an outcome. */
static uint32_t go_on(struct optimiser *o, uint32_t state, uint32_t to, bool outcome)
{
	const struct node *node = &o->nodes[o->states[state].node];
	const uint64_t *later = o->later + (size_t)to * o->words;
	const uint64_t *known = o->known + (size_t)state * o->words, *truth = o->truth + (size_t)state * o->words;
	const uint32_t base = o->values->tests[node->what].base;

	for (unsigned w = 0; w < o->words; w++) {
		o->next_known[w] = known[w] & later[w];
		o->next_truth[w] = truth[w] & later[w];
	}
	if (!has_bit(known, node->what)) {
		for (uint32_t test = o->values->tests_of[base]; test != VALUE_NONE;
		     test = o->values->tests[test].next) {
			const int implied =
				has_bit(later, test) ? value_implied(o->values, node->what, outcome, test) : -1;

			if (implied < 0)
				continue;
			set_bit(o->next_known, test);
			if (implied)
				set_bit(o->next_truth, test);
		}
	}
	return find_state(o, to, o->next_known, o->next_truth);
}

static void visit_state(struct optimiser *o, uint32_t i)
{
	const struct node *node = &o->nodes[o->states[i].node];
	const bool known = has_bit(o->known + (size_t)i * o->words, node->what);
	const bool truth = has_bit(o->truth + (size_t)i * o->words, node->what);

	if (!known || truth) {
		const uint32_t yes = go_on(o, i, node->yes, true);

		o->states[i].yes = yes;
	}
	if (!known || !truth) {
		const uint32_t no = go_on(o, i, node->no, false);

		o->states[i].no = no;
	}
}

static void visit_states(struct optimiser *o)
{
	o->state_count = 0;
	memset(o->state_buckets, 0xff, STATE_BUCKETS * sizeof(*o->state_buckets));
	for (uint32_t i = 0; i < o->node_count; i++)
		o->nodes[i].states = NONE;
	memset(o->next_known, 0, o->words * sizeof(*o->next_known));
	memset(o->next_truth, 0, o->words * sizeof(*o->next_truth));
	find_state(o, o->order[0], o->next_known, o->next_truth);
	for (uint32_t i = 0; i < o->order_count; i++) {
		const struct node *node = &o->nodes[o->order[i]];

		for (uint32_t s = node->states; s != NONE && !node->returns && !o->failed;
		     s = o->states[s].next_of_node)
			visit_state(o, s);
	}
}

/* --- 3: steps --- */

static bool test_includes(const struct optimiser *o, const struct node *node, uint32_t value)
{
	return !node->returns && (value_includes(o->values, o->values->tests[node->what].value, value) ||
				  value_includes(o->values, o->values->tests[node->what].operand, value));
}

/* A known test has been done before, and has computed its values then. */
static uint32_t make_step(struct optimiser *o, const struct state *state)
{
	const struct node *node = &o->nodes[state->node];
	uint32_t step;

	if (node->returns)
		step = graph_return(o->graph, node->what);
	else if (state->yes == NONE || state->no == NONE)
		step = o->states[state->yes == NONE ? state->no : state->yes].step;
	else
		step = graph_compare(o->graph, o->values, node->what, o->states[state->yes].step,
				     o->states[state->no].step);
	for (uint32_t i = node->effect_count; i-- > 0;) {
		const uint32_t value = o->effects[node->first_effect + i];

		if (!test_includes(o, node, value))
			step = graph_compute(o->graph, o->values, value, step);
	}
	return step;
}

static int write_program(struct optimiser *o, struct bpf_insn *result, unsigned max)
{
	graph_clear(o->graph);
	for (uint32_t i = o->order_count; i-- > 0;) {
		for (uint32_t s = o->nodes[o->order[i]].states; s != NONE; s = o->states[s].next_of_node)
			o->states[s].step = make_step(o, &o->states[s]);
	}
	if (o->graph->full)
		return 0;
	graph_sort(o->graph, o->values, o->states[0].step);
	return graph_emit(o->graph, o->values, o->states[0].step, result, max);
}

static int attempt(struct optimiser *o, bool one_state, struct bpf_insn *result, unsigned max)
{
	o->one_state = one_state;
	o->failed = false;
	visit_states(o);
	return o->failed ? 0 : write_program(o, result, max);
}

/* States for each way there make the faster program, if the longer one. */
static int choose(struct optimiser *o, struct bpf_insn *result, unsigned max)
{
	cleanup(cleanup_free) struct bpf_insn *other = calloc(max, sizeof(*other));

	if (!other)
		return -ENOMEM;
	const int shared = attempt(o, true, result, max), apart = attempt(o, false, other, max);
	if (shared < 0 || apart < 0)
		return -ENOMEM;
	if (!apart || (shared && apart > shared))
		return shared;
	memcpy(result, other, (size_t)apart * sizeof(*other));
	return apart;
}

static void optimiser_deinit(struct optimiser *o)
{
	free(o->values);
	free(o->graph);
	free(o->live);
	free(o->node_at_pc);
	free(o->nodes);
	free(o->order);
	free(o->effects);
	free(o->states);
	free(o->state_buckets);
	free(o->later);
	free(o->known);
	free(o->truth);
	free(o->next_known);
	free(o->next_truth);
}

static bool allocate_sets(struct optimiser *o)
{
	o->words = o->values->test_count / 64 + 1;
	o->later = calloc((size_t)o->node_count * o->words, sizeof(*o->later));
	o->known = malloc((size_t)STATES_MAX * o->words * sizeof(*o->known));
	o->truth = malloc((size_t)STATES_MAX * o->words * sizeof(*o->truth));
	o->next_known = calloc(o->words, sizeof(*o->next_known));
	o->next_truth = calloc(o->words, sizeof(*o->next_truth));
	return o->later && o->known && o->truth && o->next_known && o->next_truth;
}

int bpf_optimise(const struct bpf_insn *program, unsigned count, struct bpf_insn *result)
{
	if (!is_supported(program, count))
		return 0;
	cleanup(optimiser_deinit) struct optimiser o = {
		.program = program,
		.count = count,
		.values = values_new(),
		.graph = malloc(sizeof(*o.graph)),
		.live = calloc(count, sizeof(*o.live)),
		.node_at_pc = calloc(count, sizeof(*o.node_at_pc)),
		.nodes = malloc(NODES_MAX * sizeof(*o.nodes)),
		.order = malloc(NODES_MAX * sizeof(*o.order)),
		.effects = malloc(EFFECTS_MAX * sizeof(*o.effects)),
		.states = malloc(STATES_MAX * sizeof(*o.states)),
		.state_buckets = malloc(STATE_BUCKETS * sizeof(*o.state_buckets)),
	};
	if (!o.values || !o.graph || !o.live || !o.node_at_pc || !o.nodes || !o.order || !o.effects || !o.states ||
	    !o.state_buckets)
		return -ENOMEM;
	find_live(&o);
	read_program(&o);
	if (o.failed)
		return 0;
	if (!allocate_sets(&o))
		return -ENOMEM;
	find_later_tests(&o);
	return choose(&o, result, count);
}
