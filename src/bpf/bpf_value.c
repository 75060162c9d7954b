/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values are simplified as they are made, by rules that hold for every packet: constants are folded, offsets move from
 * the index into the load, comparisons with arithmetic become comparisons without. All arithmetic is modulo 2^32.
 */
#include "bpf/bpf_value.h"

#include <pcap/pcap.h>
#include <stdlib.h>

#include <linux/filter.h>

#include "bpf/filter_internal.h"

#define HEADER_LENGTH_MAX 60

struct values *values_new(void)
{
	struct values *values = malloc(sizeof(*values)); /* of a megabyte; few pages of it will be touched */

	if (!values)
		return NULL;
	values->count = values->test_count = 0;
	values->full = false;
	for (unsigned i = 0; i < VALUE_BUCKETS; i++)
		values->buckets[i] = VALUE_NONE;
	return values;
}

static uint32_t number(struct values *values, struct value value)
{
	const uint32_t mixed = (value.kind * 31u + value.code) * 0x9e3779b1u + value.k * 0x85ebca6bu +
			       value.left * 0xc2b2ae35u + value.right * 0x27d4eb2fu;
	uint32_t *bucket = &values->buckets[(mixed ^ mixed >> 15) % VALUE_BUCKETS];

	for (uint32_t i = *bucket; i != VALUE_NONE; i = values->items[i].next) {
		const struct value *item = &values->items[i];

		if (item->kind == value.kind && item->code == value.code && item->k == value.k &&
		    item->left == value.left && item->right == value.right)
			return i;
	}
	if (values->count == VALUES_MAX) {
		values->full = true;
		return 0;
	}
	value.next = *bucket;
	values->items[values->count] = value;
	values->tests_of[values->count] = VALUE_NONE;
	return *bucket = values->count++;
}

static bool is_kind(const struct values *values, uint32_t value, enum value_kind kind)
{
	return values->items[value].kind == kind;
}

uint32_t value_constant(struct values *values, uint32_t k)
{
	return number(values, (struct value){.kind = VALUE_CONSTANT, .k = k});
}

uint32_t value_length(struct values *values)
{
	return number(values, (struct value){.kind = VALUE_LENGTH});
}

uint32_t value_header_length(struct values *values, uint32_t k)
{
	return number(values, (struct value){.kind = VALUE_HEADER_LENGTH, .k = k});
}

uint32_t value_absolute(struct values *values, uint16_t size, uint32_t k)
{
	const bool ancillary = k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE);

	return number(values,
		      (struct value){.kind = ancillary ? VALUE_ANCILLARY : VALUE_ABSOLUTE, .code = size, .k = k});
}

uint32_t value_indexed(struct values *values, uint16_t size, uint32_t k, uint32_t index)
{
	const struct value *x = &values->items[index];

	if (x->kind == VALUE_CONSTANT && (uint64_t)x->k + k <= INT32_MAX)
		return value_absolute(values, size, x->k + k);
	/* A header's length plus an offset: no sum of them wraps. */
	if (x->kind == VALUE_BINARY && x->code == BPF_ADD && is_kind(values, x->left, VALUE_HEADER_LENGTH) &&
	    is_kind(values, x->right, VALUE_CONSTANT) &&
	    (uint64_t)values->items[x->right].k + k + HEADER_LENGTH_MAX <= INT32_MAX) {
		k += values->items[x->right].k;
		index = x->left;
	}
	return number(values, (struct value){.kind = VALUE_INDEXED, .code = size, .k = k, .left = index});
}

static uint32_t compute(uint16_t operation, uint32_t a, uint32_t b)
{
	switch (operation) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return a / b;
	case BPF_MOD:
		return a % b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	default:
		return b < 32 ? a >> b : 0;
	}
}

static bool is_division(uint16_t operation)
{
	return operation == BPF_DIV || operation == BPF_MOD;
}

static bool is_commutative(uint16_t operation)
{
	return operation == BPF_ADD || operation == BPF_MUL || operation == BPF_AND || operation == BPF_OR ||
	       operation == BPF_XOR;
}

/* Whether a `operation` k is a. */
static bool changes_nothing(uint16_t operation, uint32_t k)
{
	switch (operation) {
	case BPF_AND:
		return k == UINT32_MAX;
	case BPF_MUL:
	case BPF_DIV:
		return k == 1;
	case BPF_MOD:
		return false;
	default:
		return k == 0;
	}
}

uint32_t value_binary(struct values *values, uint16_t operation, uint32_t left, uint32_t right)
{
	if (is_kind(values, left, VALUE_CONSTANT) && is_commutative(operation)) {
		const uint32_t swapped = left;

		left = right;
		right = swapped;
	}
	const struct value *a = &values->items[left], *b = &values->items[right];
	if (b->kind == VALUE_CONSTANT && !(is_division(operation) && !b->k)) {
		if (a->kind == VALUE_CONSTANT)
			return value_constant(values, compute(operation, a->k, b->k));
		if (changes_nothing(operation, b->k))
			return left;
		if ((operation == BPF_AND || operation == BPF_MUL) && !b->k)
			return right;
		if ((operation == BPF_LSH || operation == BPF_RSH) && b->k > 31)
			return value_constant(values, 0);
		if (operation == BPF_SUB)
			return value_binary(values, BPF_ADD, left, value_constant(values, 0u - b->k));
		if (a->kind == VALUE_BINARY && a->code == operation && is_commutative(operation) &&
		    is_kind(values, a->right, VALUE_CONSTANT)) {
			const uint32_t k = compute(operation, values->items[a->right].k, b->k);

			return value_binary(values, operation, a->left, value_constant(values, k));
		}
	}
	if (left == right && (operation == BPF_SUB || operation == BPF_XOR))
		return value_constant(values, 0);
	return number(values, (struct value){.kind = VALUE_BINARY, .code = operation, .left = left, .right = right});
}

uint32_t value_negative(struct values *values, uint32_t operand)
{
	if (is_kind(values, operand, VALUE_CONSTANT))
		return value_constant(values, 0u - values->items[operand].k);
	return number(values, (struct value){.kind = VALUE_NEGATIVE, .left = operand});
}

bool value_may_reject(const struct values *values, uint32_t value)
{
	const struct value *item = &values->items[value];

	switch (item->kind) {
	case VALUE_ABSOLUTE:
	case VALUE_INDEXED:
	case VALUE_HEADER_LENGTH:
		return true;
	case VALUE_BINARY:
		return is_division(item->code) &&
		       (!is_kind(values, item->right, VALUE_CONSTANT) || !values->items[item->right].k);
	default:
		return false;
	}
}

bool value_always_rejects(const struct values *values, uint32_t value)
{
	return is_kind(values, value, VALUE_BINARY) && value_may_reject(values, value) &&
	       is_kind(values, values->items[value].right, VALUE_CONSTANT);
}

uint32_t value_reach(const struct values *values, uint32_t value)
{
	const struct value *item = &values->items[value];

	if (item->kind != VALUE_HEADER_LENGTH && item->kind != VALUE_ABSOLUTE)
		return 0;
	if (item->k > INT32_MAX)
		return UINT32_MAX;
	return item->k + (item->kind == VALUE_HEADER_LENGTH ? 1 : filter_load_width(item->code));
}

/* Of two loads from one index. */
static bool reaches_further(const struct value *one, const struct value *other)
{
	return one->kind == VALUE_INDEXED && other->kind == VALUE_INDEXED && one->left == other->left &&
	       (uint64_t)one->k + filter_load_width(one->code) >= (uint64_t)other->k + filter_load_width(other->code);
}

bool value_includes(const struct values *values, uint32_t whole, uint32_t part)
{
	const struct value *item = &values->items[whole];
	const uint32_t reach = value_reach(values, part);

	if (whole == part || (reach && value_reach(values, whole) >= reach) ||
	    reaches_further(item, &values->items[part]))
		return true;
	if (item->kind == VALUE_BINARY && value_includes(values, item->right, part))
		return true;
	return (item->kind == VALUE_BINARY || item->kind == VALUE_INDEXED || item->kind == VALUE_NEGATIVE) &&
	       value_includes(values, item->left, part);
}

/* --- comparisons --- */

/* What `value` is computed from with constants alone. */
static uint32_t find_base(const struct values *values, uint32_t value)
{
	while (is_kind(values, value, VALUE_BINARY) && is_kind(values, values->items[value].right, VALUE_CONSTANT))
		value = values->items[value].left;
	return value;
}

static uint32_t number_test(struct values *values, uint16_t operation, uint32_t value, uint32_t operand)
{
	const uint32_t base = find_base(values, value);

	for (uint32_t i = values->tests_of[base]; i != VALUE_NONE; i = values->tests[i].next) {
		const struct value_test *test = &values->tests[i];

		if (test->value == value && test->operand == operand && test->operation == operation)
			return i;
	}
	if (values->test_count == VALUE_TESTS_MAX) {
		values->full = true;
		return 0;
	}
	values->tests[values->test_count] = (struct value_test){.value = value,
								.operand = operand,
								.operation = operation,
								.base = base,
								.next = values->tests_of[base]};
	return values->tests_of[base] = values->test_count++;
}

static bool holds(uint16_t operation, uint32_t a, uint32_t b)
{
	switch (operation) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default:
		return (a & b) != 0;
	}
}

static struct value_verdict invert(struct value_verdict verdict)
{
	verdict.inverted = !verdict.inverted;
	return verdict;
}

static struct value_verdict always(bool outcome)
{
	return (struct value_verdict){.test = VALUE_NONE, .inverted = outcome};
}

/* As JEQ, JGT or JSET; arithmetic with constants moves into k where that is the same for every value. */
static struct value_verdict compare_with(struct values *values, uint16_t operation, uint32_t left, uint32_t k)
{
	const struct value *a = &values->items[left];
	const bool with_constant = a->kind == VALUE_BINARY && is_kind(values, a->right, VALUE_CONSTANT);
	const uint32_t c = with_constant ? values->items[a->right].k : 0;

	if (a->kind == VALUE_CONSTANT)
		return always(holds(operation, a->k, k));
	if (operation == BPF_JGE)
		return k ? compare_with(values, BPF_JGT, left, k - 1) : always(true);
	if (operation == BPF_JGT && k == UINT32_MAX)
		return always(false);
	if (operation == BPF_JGT && k == 0)
		return invert(compare_with(values, BPF_JEQ, left, 0));
	if (operation == BPF_JSET && k == 0)
		return always(false);
	if (operation == BPF_JSET && k == UINT32_MAX)
		return invert(compare_with(values, BPF_JEQ, left, 0));
	if (operation == BPF_JSET && with_constant && a->code == BPF_AND)
		return compare_with(values, BPF_JSET, a->left, k & c);
	if (operation == BPF_JEQ && with_constant && a->code == BPF_ADD)
		return compare_with(values, BPF_JEQ, a->left, k - c);
	if (operation == BPF_JEQ && with_constant && a->code == BPF_XOR)
		return compare_with(values, BPF_JEQ, a->left, k ^ c);
	if (operation == BPF_JEQ && with_constant && a->code == BPF_AND && k == 0)
		return invert(compare_with(values, BPF_JSET, a->left, c));
	if (operation == BPF_JEQ && k == 0 && a->kind == VALUE_BINARY && a->code == BPF_SUB)
		return value_compare(values, BPF_JEQ, a->left, a->right);
	return (struct value_verdict){.test = number_test(values, operation, left, value_constant(values, k))};
}

struct value_verdict value_compare(struct values *values, uint16_t operation, uint32_t left, uint32_t right)
{
	if (is_kind(values, right, VALUE_CONSTANT))
		return compare_with(values, operation, left, values->items[right].k);
	if (left == right)
		return operation == BPF_JSET ? invert(compare_with(values, BPF_JEQ, left, 0))
					     : always(operation != BPF_JGT);
	if (!is_kind(values, left, VALUE_CONSTANT))
		return (struct value_verdict){.test = number_test(values, operation, left, right)};
	const uint32_t k = values->items[left].k;
	if (operation == BPF_JGT) /* k > right */
		return invert(compare_with(values, BPF_JGE, right, k));
	if (operation == BPF_JGE)
		return invert(compare_with(values, BPF_JGT, right, k));
	return compare_with(values, operation, right, k);
}

/* Computes `value` for a value of its base. False: with a division by zero. */
static bool compute_from_base(const struct values *values, uint32_t value, uint32_t base, uint32_t k, uint32_t *result)
{
	const struct value *item = &values->items[value];
	uint32_t left;

	if (value == base) {
		*result = k;
		return true;
	}
	if (!compute_from_base(values, item->left, base, k, &left) ||
	    (is_division(item->code) && !values->items[item->right].k))
		return false;
	*result = compute(item->code, left, values->items[item->right].k);
	return true;
}

/* The values that are left lie in [from, to]. */
static int implied_by_range(uint16_t operation, uint32_t k, uint32_t from, uint32_t to)
{
	if (operation == BPF_JEQ)
		return k < from || k > to ? 0 : -1;
	if (operation == BPF_JGT)
		return from > k ? 1 : to <= k ? 0 : -1;
	return -1;
}

int value_implied(const struct values *values, uint32_t known, bool outcome, uint32_t test)
{
	const struct value_test *one = &values->tests[known], *other = &values->tests[test];
	uint32_t computed;

	if (known == test)
		return outcome;
	if (!is_kind(values, one->operand, VALUE_CONSTANT) || !is_kind(values, other->operand, VALUE_CONSTANT))
		return -1;
	const uint32_t k = values->items[one->operand].k, asked = values->items[other->operand].k;
	if (one->operation == BPF_JEQ && outcome && one->value == one->base && one->base == other->base)
		return compute_from_base(values, other->value, one->base, k, &computed)
			       ? holds(other->operation, computed, asked)
			       : -1;
	if (one->value != other->value)
		return -1;
	if (one->operation == BPF_JEQ)
		return outcome ? holds(other->operation, k, asked) : -1;
	if (one->operation == BPF_JGT)
		return outcome ? implied_by_range(other->operation, asked, k + 1, UINT32_MAX)
			       : implied_by_range(other->operation, asked, 0, k);
	if (other->operation == BPF_JEQ)
		return outcome ? ((asked & k) ? -1 : 0) : ((asked & k) ? 0 : -1);
	if (other->operation == BPF_JSET)
		return outcome ? ((k & ~asked) ? -1 : 1) : ((asked & ~k) ? -1 : 0);
	return -1;
}
