/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a BPF program computes from a packet, numbered: equal computations get one number, wherever the program does
 * them. A packet does not change while a filter runs, so a number stands for the same value on every path. Internal to
 * the optimiser.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VALUES_MAX 32768
#define VALUE_TESTS_MAX 8192
#define VALUE_NONE UINT32_MAX

enum value_kind {
	VALUE_CONSTANT,	     /* k */
	VALUE_LENGTH,	     /* of the packet on the wire */
	VALUE_ABSOLUTE,	     /* packet[k], `code` has the size */
	VALUE_INDEXED,	     /* packet[left + k] */
	VALUE_HEADER_LENGTH, /* 4 * (packet[k] & 15) */
	VALUE_ANCILLARY,     /* the kernel's, at k */
	VALUE_BINARY,	     /* left `code` right */
	VALUE_NEGATIVE,	     /* of left */
};

struct value {
	uint16_t kind, code;
	uint32_t k, left, right;
	uint32_t next; /* of the same hash */
};

/* A comparison: `value` `operation` (BPF_JEQ, BPF_JGT, BPF_JGE or BPF_JSET) `operand`. */
struct value_test {
	uint32_t value, operand;
	uint16_t operation;
	uint32_t base; /* what `value` is computed from with constants alone; tests of one base may decide each other */
	uint32_t next; /* of the same base */
};

#define VALUE_BUCKETS 4096

struct values {
	uint32_t count, test_count;
	bool full; /* something did not fit: all results are void */
	uint32_t buckets[VALUE_BUCKETS];
	struct value items[VALUES_MAX];
	struct value_test tests[VALUE_TESTS_MAX];
	uint32_t tests_of[VALUES_MAX]; /* first test of a base */
};

struct values *values_new(void);

uint32_t value_constant(struct values *values, uint32_t k);
uint32_t value_length(struct values *values);
uint32_t value_header_length(struct values *values, uint32_t k);
uint32_t value_absolute(struct values *values, uint16_t size, uint32_t k);
uint32_t value_indexed(struct values *values, uint16_t size, uint32_t k, uint32_t index);
uint32_t value_binary(struct values *values, uint16_t operation, uint32_t left, uint32_t right);
uint32_t value_negative(struct values *values, uint32_t operand);

/* Whether to compute it may end the program: a load beyond the packet, a division by zero. Says nothing of operands. */
bool value_may_reject(const struct values *values, uint32_t value);
/* A division by a constant 0 ends every program. */
bool value_always_rejects(const struct values *values, uint32_t value);

/* The end of a load at a fixed offset; 0: it is no such load. */
uint32_t value_reach(const struct values *values, uint32_t value);
/* Whether computing `whole` computes `part`, or a load that reaches as far. */
bool value_includes(const struct values *values, uint32_t whole, uint32_t part);

/* A comparison as one of the tests, or as what it always comes to. */
struct value_verdict {
	uint32_t test; /* VALUE_NONE: always `inverted` */
	bool inverted; /* the comparison holds if the test does not */
};
struct value_verdict value_compare(struct values *values, uint16_t operation, uint32_t left, uint32_t right);

/* What `test` comes to if `known` came to `outcome`: 1, 0, or -1 if that is open. */
int value_implied(const struct values *values, uint32_t known, bool outcome, uint32_t test);
