/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steps are emitted in an order in which each follows all that lead to it. So what the registers hold, and how far into
 * the packet loads have succeeded, is known at each step: it is what all of them agree on.
 *
 * Then, from the end: instructions that do the same and go on at the same become one, whatever the registers hold.
 * Conditional jumps reach 255 instructions; one that has farther to go uses a jump on the way, or gets one.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include <linux/filter.h>

#include "bpf/bpf_graph.h"
#include "bpf/bpf_value.h"

/* --- its steps in order --- */

/* What holds wherever a step begins. */
struct entry {
	bool visited, reached;
	uint32_t a, x, reach;
	uint32_t begin; /* its first instruction */
};

/* An instruction before the jumps have distances. */
struct draft {
	uint16_t code;
	uint32_t k;
	uint32_t yes, no; /* of a jump: steps, later drafts */
	uint32_t same;	  /* the last draft that does the same and goes on at the same */
	uint32_t next;	  /* of the same hash */
	bool needed;
	uint32_t distance; /* to the end of the program */
	uint32_t nearest;  /* likewise of the first instruction that leads here or is the same */
};

struct emitter {
	const struct graph *graph;
	const struct values *values;
	struct draft *drafts;
	unsigned count, max;
	uint32_t a, x;	  /* the values in the registers, or VALUE_NONE */
	uint32_t reach;	  /* loads up to this offset have succeeded */
	unsigned scratch; /* words of memory in use */
	bool failed;
	uint32_t *order; /* steps */
	uint32_t order_count;
	struct entry *entries; /* one a step */
};

/* Depth first, the way over "no" last, so that it comes directly after the step. */
static void put_in_order(struct emitter *emitter, uint32_t first, uint32_t *stack)
{
	uint32_t depth = 0, left = emitter->graph->count;

	stack[depth++] = first;
	while (depth) {
		const uint32_t top = stack[depth - 1];
		const struct step *step = &emitter->graph->steps[top];
		uint32_t next = GRAPH_NONE;

		emitter->entries[top].visited = true;
		if (step->kind != STEP_RETURN && !emitter->entries[step->yes].visited)
			next = step->yes;
		else if (step->kind == STEP_COMPARE && !emitter->entries[step->no].visited)
			next = step->no;
		if (next != GRAPH_NONE) {
			stack[depth++] = next;
		} else {
			emitter->order[--left] = top;
			depth--;
		}
	}
	emitter->order_count = emitter->graph->count - left;
	emitter->order += left;
}

/* --- values --- */

static void emit_jump(struct emitter *emitter, unsigned code, uint32_t k, uint32_t yes, uint32_t no)
{
	if (emitter->count == emitter->max) {
		emitter->failed = true;
		return;
	}
	emitter->drafts[emitter->count++] = (struct draft){.code = (uint16_t)code, .k = k, .yes = yes, .no = no};
}

static void emit(struct emitter *emitter, unsigned code, uint32_t k)
{
	emit_jump(emitter, code, k, 0, 0);
}

static void note_load(struct emitter *emitter, uint32_t value)
{
	const uint32_t reach = value_reach(emitter->values, value);

	if (reach > emitter->reach)
		emitter->reach = reach;
}

/* Whether X can be set to it while A keeps its value. */
static bool spares_a(const struct value *item)
{
	return item->kind == VALUE_CONSTANT || item->kind == VALUE_LENGTH || item->kind == VALUE_HEADER_LENGTH;
}

/* Whether A can be set to it while X keeps its value. */
static bool spares_x(const struct value *item)
{
	return item->kind == VALUE_CONSTANT || item->kind == VALUE_LENGTH || item->kind == VALUE_ABSOLUTE ||
	       item->kind == VALUE_ANCILLARY;
}

static void load_a(struct emitter *emitter, uint32_t value);

static void load_x(struct emitter *emitter, uint32_t value)
{
	const struct value *item = &emitter->values->items[value];

	if (emitter->x == value)
		return;
	if (item->kind == VALUE_CONSTANT) {
		emit(emitter, BPF_LDX | BPF_IMM, item->k);
	} else if (item->kind == VALUE_LENGTH) {
		emit(emitter, BPF_LDX | BPF_W | BPF_LEN, 0);
	} else if (item->kind == VALUE_HEADER_LENGTH) {
		emit(emitter, BPF_LDX | BPF_B | BPF_MSH, item->k);
		note_load(emitter, value);
	} else {
		load_a(emitter, value);
		emit(emitter, BPF_MISC | BPF_TAX, 0);
	}
	emitter->x = value;
}

static void load_both(struct emitter *emitter, uint32_t a, uint32_t x)
{
	const struct values *values = emitter->values;

	if (spares_a(&values->items[x])) {
		load_a(emitter, a);
		load_x(emitter, x);
	} else if (emitter->a == a && emitter->x == x) {
		return;
	} else if (spares_x(&values->items[a])) {
		load_x(emitter, x);
		load_a(emitter, a);
	} else if (emitter->scratch == BPF_MEMWORDS) {
		emitter->failed = true;
	} else {
		const unsigned word = emitter->scratch++;

		load_a(emitter, x);
		emit(emitter, BPF_ST, word);
		load_a(emitter, a);
		emit(emitter, BPF_LDX | BPF_MEM, word);
		emitter->x = x;
		emitter->scratch--;
	}
}

static void load_a(struct emitter *emitter, uint32_t value)
{
	const struct value *item = &emitter->values->items[value];

	if (emitter->a == value || emitter->failed)
		return;
	if (emitter->x == value) {
		emit(emitter, BPF_MISC | BPF_TXA, 0);
		emitter->a = value;
		return;
	}
	switch (item->kind) {
	case VALUE_CONSTANT:
		emit(emitter, BPF_LD | BPF_IMM, item->k);
		break;
	case VALUE_LENGTH:
		emit(emitter, BPF_LD | BPF_W | BPF_LEN, 0);
		break;
	case VALUE_ABSOLUTE:
	case VALUE_ANCILLARY:
		emit(emitter, BPF_LD | BPF_ABS | item->code, item->k);
		note_load(emitter, value);
		break;
	case VALUE_INDEXED:
		load_x(emitter, item->left);
		emit(emitter, BPF_LD | BPF_IND | item->code, item->k);
		break;
	case VALUE_HEADER_LENGTH:
		load_x(emitter, value);
		emit(emitter, BPF_MISC | BPF_TXA, 0);
		break;
	case VALUE_NEGATIVE:
		load_a(emitter, item->left);
		emit(emitter, BPF_ALU | BPF_NEG, 0);
		break;
	default:
		if (emitter->values->items[item->right].kind == VALUE_CONSTANT) {
			load_a(emitter, item->left);
			emit(emitter, BPF_ALU | BPF_K | item->code, emitter->values->items[item->right].k);
		} else {
			load_both(emitter, item->left, item->right);
			emit(emitter, BPF_ALU | BPF_X | item->code, 0);
		}
	}
	emitter->a = value;
}

/* --- the program --- */

/* Adds one way into the step at `to`. */
static void enter(struct emitter *emitter, uint32_t to)
{
	struct entry *entry = &emitter->entries[to];

	if (!entry->reached) {
		entry->reached = true;
		entry->a = emitter->a;
		entry->x = emitter->x;
		entry->reach = emitter->reach;
		return;
	}
	if (entry->a != emitter->a)
		entry->a = VALUE_NONE;
	if (entry->x != emitter->x)
		entry->x = VALUE_NONE;
	if (entry->reach > emitter->reach)
		entry->reach = emitter->reach;
}

static void emit_compare(struct emitter *emitter, const struct step *step)
{
	const struct value_test *test = &emitter->values->tests[step->what];
	const struct value *operand = &emitter->values->items[test->operand];

	if (operand->kind == VALUE_CONSTANT) {
		load_a(emitter, test->value);
		emit_jump(emitter, BPF_JMP | BPF_K | test->operation, operand->k, step->yes, step->no);
	} else {
		load_both(emitter, test->value, test->operand);
		emit_jump(emitter, BPF_JMP | BPF_X | test->operation, 0, step->yes, step->no);
	}
	enter(emitter, step->yes);
	enter(emitter, step->no);
}

static void emit_compute(struct emitter *emitter, const struct step *step, uint32_t following)
{
	const uint32_t reach = value_reach(emitter->values, step->what);

	if (!reach || reach > emitter->reach) {
		if (emitter->values->items[step->what].kind == VALUE_HEADER_LENGTH)
			load_x(emitter, step->what);
		else
			load_a(emitter, step->what);
	}
	enter(emitter, step->yes);
	if (step->yes != following)
		emit_jump(emitter, BPF_JMP | BPF_JA, 0, step->yes, step->yes);
}

static void emit_steps(struct emitter *emitter)
{
	for (uint32_t i = 0; i < emitter->order_count && !emitter->failed; i++) {
		const struct step *step = &emitter->graph->steps[emitter->order[i]];
		struct entry *entry = &emitter->entries[emitter->order[i]];

		emitter->a = i ? entry->a : VALUE_NONE;
		emitter->x = i ? entry->x : VALUE_NONE;
		emitter->reach = i ? entry->reach : 0;
		entry->begin = emitter->count;
		if (step->kind == STEP_RETURN)
			emit(emitter, BPF_RET | BPF_K, step->what);
		else if (step->kind == STEP_COMPARE)
			emit_compare(emitter, step);
		else
			emit_compute(emitter, step, i + 1 < emitter->order_count ? emitter->order[i + 1] : GRAPH_NONE);
	}
}

/* --- from the end --- */

static bool is_conditional(const struct draft *draft)
{
	return BPF_CLASS(draft->code) == BPF_JMP && BPF_OP(draft->code) != BPF_JA;
}

static bool is_plain_jump(const struct draft *draft)
{
	return draft->code == (BPF_JMP | BPF_JA);
}

static bool does_same(const struct draft *one, const struct draft *other)
{
	return one->code == other->code && one->k == other->k && one->yes == other->yes && one->no == other->no;
}

#define SAME_BUCKETS 1024

/* Steps in jumps become drafts, and what follows an instruction its `yes`. */
static void find_same(struct emitter *emitter)
{
	uint32_t buckets[SAME_BUCKETS];

	memset(buckets, 0xff, sizeof(buckets));
	for (uint32_t i = emitter->count; i-- > 0;) {
		struct draft *draft = &emitter->drafts[i];

		if (BPF_CLASS(draft->code) == BPF_JMP) {
			draft->yes = emitter->drafts[emitter->entries[draft->yes].begin].same;
			draft->no = emitter->drafts[emitter->entries[draft->no].begin].same;
		} else if (BPF_CLASS(draft->code) != BPF_RET) {
			draft->yes = draft->no = emitter->drafts[i + 1].same;
		}
		const uint32_t mixed = draft->code * 0x9e3779b1u + draft->k * 0x85ebca6bu + draft->yes * 0xc2b2ae35u +
				       draft->no * 0x27d4eb2fu;
		uint32_t *bucket = &buckets[(mixed ^ mixed >> 15) % SAME_BUCKETS];
		uint32_t same = *bucket;
		while (same != GRAPH_NONE && !does_same(draft, &emitter->drafts[same]))
			same = emitter->drafts[same].next;
		draft->same = is_plain_jump(draft) ? draft->yes : same == GRAPH_NONE ? i : same;
		draft->next = *bucket;
		if (same == GRAPH_NONE)
			*bucket = i;
	}
}

static void find_needed(struct emitter *emitter)
{
	emitter->drafts[0].needed = true;
	for (uint32_t i = 0; i < emitter->count; i++) {
		const struct draft *draft = &emitter->drafts[i];

		if (!draft->needed || BPF_CLASS(draft->code) == BPF_RET)
			continue;
		if (BPF_CLASS(draft->code) == BPF_JMP)
			emitter->drafts[draft->yes].needed = emitter->drafts[draft->no].needed = true;
		else
			emitter->drafts[i + 1].needed = true;
	}
}

/* The program is written backwards, at the end of the room for it. */
struct writer {
	struct bpf_insn *program;
	uint32_t count, max; /* `count` also counts those that do not fit */
};

static void put(struct writer *writer, struct bpf_insn insn)
{
	writer->count++;
	if (writer->count <= writer->max)
		writer->program[writer->max - writer->count] = insn;
}

/* A jump anywhere; returning is no longer than jumping to a return. */
static void put_jump(struct writer *writer, struct draft *to)
{
	struct bpf_insn insn = {.code = BPF_JMP | BPF_JA, .k = writer->count - to->distance};

	if (BPF_CLASS(to->code) == BPF_RET)
		insn = (struct bpf_insn){.code = to->code, .k = to->k};
	put(writer, insn);
	to->nearest = writer->count;
}

/* `between`: instructions that may still be put in between. */
static bool is_near(const struct writer *writer, const struct draft *to, uint32_t between)
{
	return writer->count + between - to->nearest <= UINT8_MAX;
}

static void put_conditional(struct writer *writer, const struct draft *draft, struct draft *yes, struct draft *no)
{
	if (!is_near(writer, no, 1))
		put_jump(writer, no);
	if (!is_near(writer, yes, 0))
		put_jump(writer, yes);
	put(writer, (struct bpf_insn){.code = draft->code,
				      .k = draft->k,
				      .jt = (uint8_t)(writer->count - yes->nearest),
				      .jf = (uint8_t)(writer->count - no->nearest)});
}

static uint32_t write_backwards(struct emitter *emitter, struct bpf_insn *program, uint32_t max)
{
	struct writer writer = {.program = program, .max = max};

	for (uint32_t i = emitter->count; i-- > 0;) {
		struct draft *draft = &emitter->drafts[i];

		if (!draft->needed)
			continue;
		if (is_plain_jump(draft))
			put_jump(&writer, &emitter->drafts[draft->yes]);
		else if (is_conditional(draft))
			put_conditional(&writer, draft, &emitter->drafts[draft->yes], &emitter->drafts[draft->no]);
		else
			put(&writer, (struct bpf_insn){.code = draft->code, .k = draft->k});
		draft->distance = draft->nearest = writer.count;
	}
	if (writer.count > max)
		return 0;
	memmove(program, program + (max - writer.count), writer.count * sizeof(*program));
	return writer.count;
}

int graph_emit(const struct graph *graph, const struct values *values, uint32_t first, struct bpf_insn *program,
	       unsigned max)
{
	cleanup(cleanup_free) uint32_t *order = calloc(graph->count, sizeof(*order));
	cleanup(cleanup_free) uint32_t *stack = calloc(graph->count, sizeof(*stack));
	cleanup(cleanup_free) struct entry *entries = calloc(graph->count, sizeof(*entries));
	cleanup(cleanup_free) struct draft *drafts = calloc(max, 2 * sizeof(*drafts));
	struct emitter emitter = {
		.graph = graph, .values = values, .drafts = drafts, .max = 2 * max, .order = order, .entries = entries};

	if (!order || !stack || !entries || !drafts)
		return -ENOMEM;
	put_in_order(&emitter, first, stack);
	emit_steps(&emitter);
	if (emitter.failed)
		return 0;
	find_same(&emitter);
	find_needed(&emitter);
	return (int)write_backwards(&emitter, program, max);
}
