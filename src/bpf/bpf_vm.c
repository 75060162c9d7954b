/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions are decoded once, into the address of the code that executes them and the ops to continue at. A load
 * and the comparison after it, the bulk of every filter, run as one step; the comparison also keeps its own op, for
 * jumps to it.
 */
#include "bpf/bpf_vm.h"

#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <string.h>

#include <linux/filter.h>
#include <linux/if_packet.h>

#define SCRATCH_WORDS BPF_MEMWORDS

/* clang-format off: lists, one entry a step */

/* Loads, loads fused with the comparison after them, and the rest. */
#define LOADS(do_) do_(W_ABS) do_(H_ABS) do_(B_ABS) do_(W_IND) do_(H_IND) do_(B_IND)
#define PAIRS(do_)                                                                                                 \
	do_(W_ABS, EQ) do_(W_ABS, GT) do_(W_ABS, GE) do_(W_ABS, SET) do_(H_ABS, EQ) do_(H_ABS, GT) do_(H_ABS, GE)  \
		do_(H_ABS, SET) do_(B_ABS, EQ) do_(B_ABS, GT) do_(B_ABS, GE) do_(B_ABS, SET) do_(W_IND, EQ)        \
			do_(W_IND, GT) do_(W_IND, GE) do_(W_IND, SET) do_(H_IND, EQ) do_(H_IND, GT) do_(H_IND, GE) \
				do_(H_IND, SET) do_(B_IND, EQ) do_(B_IND, GT) do_(B_IND, GE) do_(B_IND, SET)
#define SIMPLE(do_)                                                                                                    \
	do_(LD_LEN) do_(LD_IMM) do_(LD_MEM) do_(LDX_IMM) do_(LDX_MEM) do_(LDX_LEN) do_(LDX_MSH) do_(ST) do_(STX)       \
		do_(JA) do_(JEQ) do_(JGT) do_(JGE) do_(JSET) do_(JEQ_X) do_(JGT_X) do_(JGE_X) do_(JSET_X) do_(ADD)     \
			do_(SUB) do_(MUL) do_(DIV) do_(MOD) do_(AND) do_(OR) do_(XOR) do_(LSH) do_(RSH) do_(ADD_X)     \
				do_(SUB_X) do_(MUL_X) do_(DIV_X) do_(MOD_X) do_(AND_X) do_(OR_X) do_(XOR_X) do_(LSH_X) \
					do_(RSH_X) do_(NEG) do_(RET) do_(RET_A) do_(TAX) do_(TXA)

#define NAME(name) STEP_##name,
#define NAME_PAIR(load, test) STEP_##load##_##test,
/* clang-format on */

enum step { LOADS(NAME) PAIRS(NAME_PAIR) SIMPLE(NAME) STEPS };

struct op {
	union {
		enum step step;	  /* while the machine is made */
		const void *code; /* that executes the step */
	};
	uint32_t yes, no; /* jump targets: offsets from the first op */
	uint32_t k;
	uint32_t operand; /* of the comparison in a pair */
};

struct bpf_vm {
	struct bpf_vm *outgoing; /* for packets that this host sent; NULL: the same */
	bool is_plain;		 /* it reads neither the scratch memory nor the packet's type */
	unsigned count;
	const void *const **labels; /* of an empty machine: where bpf_vm_run() tells the address of each step's code */
	struct op ops[];
};

static const struct {
	uint16_t code;
	uint16_t step;
} steps[] = {
	{BPF_LD | BPF_W | BPF_ABS, STEP_W_ABS},
	{BPF_LD | BPF_H | BPF_ABS, STEP_H_ABS},
	{BPF_LD | BPF_B | BPF_ABS, STEP_B_ABS},
	{BPF_LD | BPF_W | BPF_IND, STEP_W_IND},
	{BPF_LD | BPF_H | BPF_IND, STEP_H_IND},
	{BPF_LD | BPF_B | BPF_IND, STEP_B_IND},
	{BPF_LD | BPF_W | BPF_LEN, STEP_LD_LEN},
	{BPF_LD | BPF_IMM, STEP_LD_IMM},
	{BPF_LD | BPF_MEM, STEP_LD_MEM},
	{BPF_LDX | BPF_IMM, STEP_LDX_IMM},
	{BPF_LDX | BPF_MEM, STEP_LDX_MEM},
	{BPF_LDX | BPF_W | BPF_LEN, STEP_LDX_LEN},
	{BPF_LDX | BPF_MSH | BPF_B, STEP_LDX_MSH},
	{BPF_ST, STEP_ST},
	{BPF_STX, STEP_STX},
	{BPF_JMP | BPF_JA, STEP_JA},
	{BPF_JMP | BPF_JEQ | BPF_K, STEP_JEQ},
	{BPF_JMP | BPF_JGT | BPF_K, STEP_JGT},
	{BPF_JMP | BPF_JGE | BPF_K, STEP_JGE},
	{BPF_JMP | BPF_JSET | BPF_K, STEP_JSET},
	{BPF_JMP | BPF_JEQ | BPF_X, STEP_JEQ_X},
	{BPF_JMP | BPF_JGT | BPF_X, STEP_JGT_X},
	{BPF_JMP | BPF_JGE | BPF_X, STEP_JGE_X},
	{BPF_JMP | BPF_JSET | BPF_X, STEP_JSET_X},
	{BPF_ALU | BPF_ADD | BPF_K, STEP_ADD},
	{BPF_ALU | BPF_SUB | BPF_K, STEP_SUB},
	{BPF_ALU | BPF_MUL | BPF_K, STEP_MUL},
	{BPF_ALU | BPF_DIV | BPF_K, STEP_DIV},
	{BPF_ALU | BPF_MOD | BPF_K, STEP_MOD},
	{BPF_ALU | BPF_AND | BPF_K, STEP_AND},
	{BPF_ALU | BPF_OR | BPF_K, STEP_OR},
	{BPF_ALU | BPF_XOR | BPF_K, STEP_XOR},
	{BPF_ALU | BPF_LSH | BPF_K, STEP_LSH},
	{BPF_ALU | BPF_RSH | BPF_K, STEP_RSH},
	{BPF_ALU | BPF_ADD | BPF_X, STEP_ADD_X},
	{BPF_ALU | BPF_SUB | BPF_X, STEP_SUB_X},
	{BPF_ALU | BPF_MUL | BPF_X, STEP_MUL_X},
	{BPF_ALU | BPF_DIV | BPF_X, STEP_DIV_X},
	{BPF_ALU | BPF_MOD | BPF_X, STEP_MOD_X},
	{BPF_ALU | BPF_AND | BPF_X, STEP_AND_X},
	{BPF_ALU | BPF_OR | BPF_X, STEP_OR_X},
	{BPF_ALU | BPF_XOR | BPF_X, STEP_XOR_X},
	{BPF_ALU | BPF_LSH | BPF_X, STEP_LSH_X},
	{BPF_ALU | BPF_RSH | BPF_X, STEP_RSH_X},
	{BPF_ALU | BPF_NEG, STEP_NEG},
	{BPF_RET | BPF_K, STEP_RET},
	{BPF_RET | BPF_A, STEP_RET_A},
	{BPF_MISC | BPF_TAX, STEP_TAX},
	{BPF_MISC | BPF_TXA, STEP_TXA},
};

static enum step find_step(uint16_t code)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (steps[i].code == code)
			return steps[i].step;
	}
	return STEPS;
}

static bool is_packet_type(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS &&
	       insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE);
}

/* The pair of a load and a comparison, or the load alone. */
static enum step find_pair(enum step load, enum step test)
{
#define MATCH_PAIR(l, t)                           \
	if (load == STEP_##l && test == STEP_J##t) \
		return STEP_##l##_##t;
	PAIRS(MATCH_PAIR)
	return load;
}

/* A jump's target as an offset from the first op. */
static uint32_t op_offset(unsigned i)
{
	return i * (uint32_t)sizeof(struct op);
}

static bool decode(struct bpf_vm *vm, const struct bpf_insn *program, unsigned i, unsigned type)
{
	const struct bpf_insn *insn = &program[i];
	struct op *op = &vm->ops[i];
	const enum step step = is_packet_type(insn) ? STEP_LD_IMM : find_step(insn->code);
	const int64_t jump = i + 1 + (insn->code == (BPF_JMP | BPF_JA) ? (int64_t)(int32_t)insn->k : insn->jt);

	if (step == STEPS || jump < 0)
		return false;
	*op = (struct op){.step = step, .k = is_packet_type(insn) ? type : insn->k};
	op->yes = op_offset((unsigned)jump);
	op->no = op_offset(i + 1 + insn->jf);
	if (BPF_CLASS(insn->code) == BPF_JMP && (jump >= vm->count || i + 1 + insn->jf >= vm->count))
		return false;
	if ((step == STEP_LD_MEM || step == STEP_LDX_MEM || step == STEP_ST || step == STEP_STX) &&
	    insn->k >= SCRATCH_WORDS)
		return false;
	return i + 1 < vm->count || BPF_CLASS(insn->code) == BPF_RET;
}

static void fuse_pairs(struct bpf_vm *vm)
{
	for (unsigned i = 0; i + 1 < vm->count; i++) {
		struct op *op = &vm->ops[i];
		const struct op *next = &vm->ops[i + 1];
		const enum step pair = find_pair(op->step, next->step);

		if (pair == op->step)
			continue;
		op->step = pair;
		op->operand = next->k;
		op->yes = next->yes;
		op->no = next->no;
	}
}

/* Only bpf_vm_run() knows where its labels are. */
static void find_code(struct bpf_vm *vm)
{
	const void *const *labels = NULL;
	const struct bpf_vm empty = {.labels = &labels};

	bpf_vm_run(&empty, NULL, 0, 0, PACKET_HOST);
	for (unsigned i = 0; i < vm->count; i++)
		vm->ops[i].code = labels[vm->ops[i].step];
}

static bool reads_memory(const struct bpf_insn *insn)
{
	return (BPF_CLASS(insn->code) == BPF_LD || BPF_CLASS(insn->code) == BPF_LDX) && BPF_MODE(insn->code) == BPF_MEM;
}

static struct bpf_vm *new_vm(const struct bpf_insn *program, unsigned count, unsigned type)
{
	cleanup(cleanup_bpf_vm) struct bpf_vm *vm = NULL;

	if (count && count <= BPF_VM_PROGRAM_MAX)
		vm = calloc(1, sizeof(*vm) + count * sizeof(*vm->ops));
	if (!vm)
		return NULL;
	vm->count = count;
	vm->is_plain = true;
	for (unsigned i = 0; i < count; i++) {
		if (!decode(vm, program, i, type))
			return NULL;
		vm->is_plain &= !reads_memory(&program[i]) && !is_packet_type(&program[i]);
	}
	fuse_pairs(vm);
	find_code(vm);
	return take(vm);
}

/* The packet's type is a constant in two machines: to carry it along would cost every filter 0.7 ns a packet. */
struct bpf_vm *bpf_vm_new(const struct bpf_insn *program, unsigned count)
{
	cleanup(cleanup_bpf_vm) struct bpf_vm *vm = new_vm(program, count, PACKET_HOST);
	bool tests_type = false;

	for (unsigned i = 0; vm && i < count; i++)
		tests_type |= is_packet_type(&program[i]);
	if (!tests_type)
		return take(vm);
	vm->outgoing = new_vm(program, count, PACKET_OUTGOING);
	return vm->outgoing ? take(vm) : NULL;
}

void bpf_vm_free(struct bpf_vm *vm)
{
	if (vm)
		free(vm->outgoing);
	free(vm);
}

static inline uint32_t word_at(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return ntohl(value);
}

static inline uint32_t half_at(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return ntohs(value);
}

static inline uint32_t byte_at(const uint8_t *at)
{
	return *at;
}

static inline const struct op *op_at(const struct op *ops, uint32_t offset)
{
	return (const void *)((const char *)ops + offset);
}

/* clang-format off: the interpreter is written in macros, one line a step */

/* A = the value at `offset` (64 bits: sums do not wrap); rejects if it lies beyond the packet. */
#define LOAD(read, size, offset)               \
	do {                                   \
		const uint64_t at_ = (offset); \
		if (at_ + (size) > caplen)     \
			return 0;              \
		a = read(packet + at_);        \
	} while (0)
#define LOAD_W_ABS LOAD(word_at, 4, (uint64_t)op->k)
#define LOAD_H_ABS LOAD(half_at, 2, (uint64_t)op->k)
#define LOAD_B_ABS LOAD(byte_at, 1, (uint64_t)op->k)
#define LOAD_W_IND LOAD(word_at, 4, (uint64_t)op->k + x)
#define LOAD_H_IND LOAD(half_at, 2, (uint64_t)op->k + x)
#define LOAD_B_IND LOAD(byte_at, 1, (uint64_t)op->k + x)
#define TEST_EQ(value) (a == (value))
#define TEST_GT(value) (a > (value))
#define TEST_GE(value) (a >= (value))
#define TEST_SET(value) ((a & (value)) != 0)

#define DISPATCH() goto * op->code
#define NEXT()              \
	do {                \
		op++;       \
		DISPATCH(); \
	} while (0)
/* A branch, not a conditional move: when predicted, the steps after it start before the packet's bytes arrive. */
#define JUMP(condition)                           \
	do {                                      \
		if (condition) {                  \
			op = op_at(ops, op->yes); \
			__asm__("" : "+r"(op));   \
			DISPATCH();               \
		}                                 \
		op = op_at(ops, op->no);          \
		DISPATCH();                       \
	} while (0)

/* Labels as values are a GNU extension, which __extension__ does not cover in a goto. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
__attribute__((noinline)) uint32_t bpf_vm_run(const struct bpf_vm *vm, const uint8_t *packet, uint32_t wirelen,
					      uint32_t caplen, unsigned type)
{
#define LABEL(name) &&do_##name,
#define LABEL_PAIR(load, test) &&do_##load##_##test,
	static const void *const labels[] = {LOADS(LABEL) PAIRS(LABEL_PAIR) SIMPLE(LABEL)};
	uint32_t a = 0, x = 0, memory[SCRATCH_WORDS];
	if (__builtin_expect(!vm->is_plain, false)) {
		if (!vm->count) {
			*vm->labels = labels;
			return 0;
		}
		if (vm->outgoing && type == PACKET_OUTGOING)
			vm = vm->outgoing;
		memset(memory, 0, sizeof(memory));
	}
	const struct op *const ops = vm->ops;
	const struct op *op = ops;
	DISPATCH();

#define DO_LOAD(name)            \
	do_##name : LOAD_##name; \
	NEXT();
	LOADS(DO_LOAD)
#define DO_PAIR(load, test)               \
	do_##load##_##test : LOAD_##load; \
	JUMP(TEST_##test(op->operand));
	PAIRS(DO_PAIR)

#define DO(name, action)    \
	do_##name : action; \
	NEXT();
#define DO_DIVISION(name, operator, divisor)  \
	do_##name : if (!(divisor)) return 0; \
	a = a operator(divisor);              \
	NEXT();
#define DO_JUMP(name, condition) do_##name : JUMP(condition);
	DO(LD_LEN, a = wirelen)
	DO(LD_IMM, a = op->k)
	DO(LD_MEM, a = memory[op->k])
	DO(LDX_IMM, x = op->k)
	DO(LDX_MEM, x = memory[op->k])
	DO(LDX_LEN, x = wirelen)
do_LDX_MSH:
	if (op->k >= caplen)
		return 0;
	x = (packet[op->k] & 0xfu) << 2;
	NEXT();
	DO(ST, memory[op->k] = a)
	DO(STX, memory[op->k] = x)
	DO_JUMP(JA, true)
	DO_JUMP(JEQ, TEST_EQ(op->k))
	DO_JUMP(JGT, TEST_GT(op->k))
	DO_JUMP(JGE, TEST_GE(op->k))
	DO_JUMP(JSET, TEST_SET(op->k))
	DO_JUMP(JEQ_X, TEST_EQ(x))
	DO_JUMP(JGT_X, TEST_GT(x))
	DO_JUMP(JGE_X, TEST_GE(x))
	DO_JUMP(JSET_X, TEST_SET(x))
	DO(ADD, a += op->k)
	DO(SUB, a -= op->k)
	DO(MUL, a *= op->k)
	DO(AND, a &= op->k)
	DO(OR, a |= op->k)
	DO(XOR, a ^= op->k)
	DO(LSH, a = op->k < 32 ? a << op->k : 0)
	DO(RSH, a = op->k < 32 ? a >> op->k : 0)
	DO(ADD_X, a += x)
	DO(SUB_X, a -= x)
	DO(MUL_X, a *= x)
	DO(AND_X, a &= x)
	DO(OR_X, a |= x)
	DO(XOR_X, a ^= x)
	DO(LSH_X, a = x < 32 ? a << x : 0)
	DO(RSH_X, a = x < 32 ? a >> x : 0)
	DO(NEG, a = 0u - a)
	DO(TAX, x = a)
	DO(TXA, a = x)
	DO_DIVISION(DIV, /, op->k)
	DO_DIVISION(MOD, %, op->k)
	DO_DIVISION(DIV_X, /, x)
	DO_DIVISION(MOD_X, %, x)
do_RET:
	return op->k;
do_RET_A:
	return a;
}
#pragma GCC diagnostic pop
/* clang-format on */
