/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiles filters and analyses the compiled programs. libpcap compiles for a handle that captures nothing, so the
 * programs expect packets as they were on the wire.
 */
#include "bpf/filter.h"

#include <ctype.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/packet.h"
#include "bpf/bpf_cooked.h"
#include "bpf/bpf_optimise.h"
#include "bpf/bpf_vm.h"
#include "bpf/filter_internal.h"
#include "bpf/filter_lookup.h"
#include "bpf/filter_names.h"
#include "bpf/filter_syntax.h"
#include "bpf/tunnel.h"

#define COMBINED_BYTES_MAX 16384 /* an expression and what tunnel.h adds */
#define NAME_SHOWN_MAX 64	 /* bytes of a host name in an error */
#define REACH_UNKNOWN UINT32_MAX
#define MSH_MAX 255	 /* highest offset of an IP header length that the union supports */
#define IP_HEADER_MAX 60 /* the most that BPF_MSH can yield */

/* Loaded by MSH or IMM, the index register holds an IP header length or a constant; loaded otherwise, it may be any
 * number. */
static uint32_t find_reach(struct filter *filter)
{
	const struct bpf_program *program = &filter->program;
	uint32_t reach = 0, index_max = 0, indexed = 0; /* the last: of loads relative to the index register */

	for (unsigned i = 0; i < program->bf_len; i++) {
		const struct bpf_insn *insn = &program->bf_insns[i];
		uint32_t end = 0;

		if (BPF_CLASS(insn->code) == BPF_LDX || insn->code == (BPF_MISC | BPF_TAX)) {
			if (insn->code == (BPF_LDX | BPF_B | BPF_MSH)) {
				end = insn->k + 1;
				index_max = index_max > IP_HEADER_MAX ? index_max : IP_HEADER_MAX;
			} else if (insn->code == (BPF_LDX | BPF_IMM)) {
				index_max = index_max > insn->k ? index_max : insn->k;
			} else {
				index_max = REACH_UNKNOWN;
			}
		} else if (BPF_CLASS(insn->code) == BPF_LD && !filter_loads_type(insn) &&
			   (BPF_MODE(insn->code) == BPF_ABS || BPF_MODE(insn->code) == BPF_IND)) {
			end = insn->k + filter_load_width(insn->code);
			if (BPF_MODE(insn->code) == BPF_IND)
				filter->reach_indexed = indexed = indexed > end ? indexed : end;
			else if (end > filter->reach_absolute)
				filter->reach_absolute = end;
		}
		reach = reach > end ? reach : end;
	}
	if (!indexed)
		return reach;
	if (index_max > UINT16_MAX || indexed > UINT16_MAX)
		return REACH_UNKNOWN;
	return reach > indexed + index_max ? reach : indexed + index_max;
}

static unsigned count_terms(const char *expression)
{
	struct filter_scanner scanner = filter_scan(expression);
	unsigned terms = 1;

	while (filter_scan_next(&scanner))
		terms += filter_scan_is(&scanner, "or") || filter_scan_is(&scanner, "and") ||
			 filter_scan_is(&scanner, "||") || filter_scan_is(&scanner, "&&");
	return terms;
}

int filter_check_terms(const char *expression, struct error *err)
{
	if (count_terms(expression) <= FILTER_TERMS_MAX)
		return 0;
	return error_set(err, -EINVAL, "more than %d terms joined by and/or: use nets or port ranges",
			 FILTER_TERMS_MAX);
}

/*
 * Whether the kernel can run a program as one of several. A division by zero would end all of them, shifts by 32 or
 * more bits differ between kernel and libpcap, and the kernel has no backward jumps (protochain). IP header lengths are
 * loaded without a check, so packets must have a minimum length.
 */
static void check_kernel_compatible(struct filter *filter)
{
	for (unsigned i = 0; i < filter->kernel.bf_len; i++) {
		const struct bpf_insn *insn = &filter->kernel.bf_insns[i];
		const unsigned operation = BPF_OP(insn->code);

		if (insn->code == (BPF_LDX | BPF_B | BPF_MSH)) {
			filter->kernel_compatible &= insn->k <= MSH_MAX;
			filter->min_bytes = insn->k + 1 > filter->min_bytes ? insn->k + 1 : filter->min_bytes;
		} else if (BPF_CLASS(insn->code) == BPF_ALU) {
			const bool shift = operation == BPF_LSH || operation == BPF_RSH;
			const bool divide = operation == BPF_DIV || operation == BPF_MOD;
			const bool safe = BPF_SRC(insn->code) == BPF_K ? !shift || insn->k < 32 : !shift && !divide;

			filter->kernel_compatible &= safe;
		} else if (BPF_CLASS(insn->code) == BPF_RET) {
			filter->kernel_compatible &= BPF_RVAL(insn->code) == BPF_K;
		} else if (insn->code == (BPF_JMP | BPF_JA)) {
			filter->kernel_compatible &= insn->k < filter->kernel.bf_len - i;
		}
	}
}

/* Replaces the program by a better one, if there is one. -EINVAL: no packet can match. */
static int optimise(struct bpf_program *program, struct error *err)
{
	cleanup(cleanup_free) struct bpf_insn *better = calloc(program->bf_len + 1, sizeof(*better));
	const int count = better ? bpf_optimise(program->bf_insns, program->bf_len, better) : -ENOMEM;

	if (count < 0)
		return error_set(err, count, "out of memory");
	if (count > 0) {
		memcpy(program->bf_insns, better, (size_t)count * sizeof(*better));
		program->bf_len = (unsigned)count;
	}
	if (program->bf_insns->code == (BPF_RET | BPF_K) && !program->bf_insns->k)
		return -EINVAL;
	return 0;
}

/* Where the link layer's header has no fixed length (radiotap), libpcap loads the packet's type relative to it. */
static void mend_type_loads(struct bpf_program *program)
{
	for (unsigned i = 0; i < program->bf_len; i++) {
		struct bpf_insn *insn = &program->bf_insns[i];

		if (BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_IND &&
		    insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE))
			insn->code = (uint16_t)(BPF_LD | BPF_SIZE(insn->code) | BPF_ABS);
	}
}

/* Unoptimised: libpcap's own optimiser changes what some expressions mean (1.10.3). */
static int compile_expression(const char *expression, uint16_t linktype, uint32_t netmask, struct error *err,
			      struct bpf_program *program)
{
	/* LINKTYPE_RAW is DLT_RAW (12) on Linux; the others that there are have one number for both. */
	const struct filter_source source = {.expression = expression,
					     .dlt = linktype == LINKTYPE_RAW ? DLT_RAW : linktype,
					     .netmask = netmask ? netmask : PCAP_NETMASK_UNKNOWN};
	struct error reason;
	const int r = filter_compile_source(&source, &reason, program);

	if (r == -EINVAL && !netmask && strstr(reason.text, "netmask"))
		return error_set(err, r, "\"ip broadcast\" needs an interface with an IPv4 address, for its netmask");
	if (r == -EINVAL)
		return filter_explain(expression, reason.text, err);
	if (r < 0)
		return error_set(err, r, "%s", reason.text);
	mend_type_loads(program);
	return 0;
}

/* The kernel sees packets of these link types otherwise than the workers, who give them a header or convert it. */
static bool is_converted(uint16_t linktype)
{
	static const uint16_t converted[] = {LINKTYPE_CAN_SOCKETCAN, LINKTYPE_LINUX_IRDA, LINKTYPE_LINUX_LAPD,
					     LINKTYPE_NETLINK};
	bool found = false;

	for (size_t i = 0; i < sizeof(converted) / sizeof(*converted); i++)
		found |= converted[i] == linktype;
	return found;
}

static int make_kernel_program(struct filter *filter, struct error *err)
{
	filter->kernel = filter->program;
	filter->kernel_compatible = !is_converted(filter->linktype);
	if (filter->linktype != LINKTYPE_LINUX_SLL2)
		return 0;
	const size_t bytes = filter->program.bf_len * sizeof(*filter->program.bf_insns);
	struct bpf_insn *program = bytes ? malloc(bytes) : NULL;
	if (!program)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(program, filter->program.bf_insns, bytes);
	filter->kernel.bf_insns = program;
	filter->kernel_compatible = bpf_cooked_to_kernel(program, filter->kernel.bf_len);
	return 0;
}

/*
 * Puts the required program in front: its "accept" becomes a jump to the other one. The texts are never joined: an
 * expression like "tcp) or (udp" would break out of its parentheses, and "vlan" moves the offsets of all that follows.
 * libpcap's programs set registers and memory before they use them, so one can run after another.
 */
static int require_program(const struct bpf_program *required, struct bpf_program *program)
{
	const unsigned count = required->bf_len + program->bf_len;
	struct bpf_insn *joined;

	for (unsigned i = 0; i < required->bf_len; i++)
		if (BPF_CLASS(required->bf_insns[i].code) == BPF_RET && BPF_RVAL(required->bf_insns[i].code) != BPF_K)
			return -EINVAL; /* libpcap makes none: what such a one accepts would not be looked at again */
	joined = calloc(count, sizeof(*joined));
	if (!joined)
		return -ENOMEM;
	memcpy(joined, required->bf_insns, required->bf_len * sizeof(*joined));
	memcpy(joined + required->bf_len, program->bf_insns, program->bf_len * sizeof(*joined));
	for (unsigned i = 0; i < required->bf_len; i++)
		if (joined[i].code == (BPF_RET | BPF_K) && joined[i].k)
			joined[i] = (struct bpf_insn){.code = BPF_JMP | BPF_JA, .k = required->bf_len - i - 1};
	free(program->bf_insns); /* as pcap_freecode() does */
	program->bf_insns = joined;
	program->bf_len = count;
	return 0;
}

static int compile_required(const struct filter_options *options, struct error *err, struct bpf_program *program)
{
	struct bpf_program required = {0};

	if (!options->required || !*options->required)
		return 0;
	int r = compile_expression(options->required, options->linktype, options->netmask, err, &required);
	if (r < 0) {
		error_prefix(err, "the filter of all requests (requests.filter)");
		return r;
	}
	r = require_program(&required, program);
	pcap_freecode(&required);
	return r < 0 ? error_set(err, r, "requests.filter: cannot be joined to another filter: %s", strerror(-r)) : 0;
}

static int compile_program(const struct filter_options *options, const char *expression, struct error *err,
			   struct bpf_program *program)
{
	int r = compile_expression(expression, options->linktype, options->netmask, err, program);

	if (r < 0)
		return r;
	r = compile_required(options, err, program);
	if (r < 0)
		return r;
	r = optimise(program, err);
	if (r == -EINVAL && options->required && *options->required)
		return error_set(err, r, "no packet that matches it may be captured (requests.filter)");
	return r == -EINVAL ? filter_explain(expression, "expression rejects all packets", err) : r;
}

/* A filter of the expression and what is required; nothing else of the options counts. */
static int compile(const struct filter_options *options, const char *expression, struct error *err,
		   struct filter **result)
{
	cleanup(cleanup_filter) struct filter *filter = calloc(1, sizeof(*filter));
	if (!filter)
		return error_set(err, -ENOMEM, "out of memory");
	atomic_init(&filter->references, 1);
	filter->linktype = options->linktype;
	int r = compile_program(options, expression, err, &filter->program);
	if (r < 0)
		return r;
	filter->vm = bpf_vm_new(filter->program.bf_insns, filter->program.bf_len);
	if (!filter->vm)
		return error_set(err, -ENOMEM, "out of memory, or a filter of more than %d instructions",
				 BPF_VM_PROGRAM_MAX);
	filter->reach = find_reach(filter);
	r = make_kernel_program(filter, err);
	if (r < 0)
		return r;
	check_kernel_compatible(filter);
	*result = take(filter);
	return 0;
}

int filter_compile_with_netmask(const char *expression, uint16_t linktype, uint32_t netmask, struct error *err,
				struct filter **result)
{
	if (!expression || !*expression) {
		*result = NULL;
		return 0;
	}
	const struct filter_options options = {.linktype = linktype, .netmask = netmask};
	const int r = filter_check_terms(expression, err);
	return r < 0 ? r : compile(&options, expression, err, result);
}

/* --- tunnels --- */

static void inner_filter_free(struct inner_filter *inner)
{
	if (!inner)
		return;
	filter_free(inner->ethernet);
	filter_free(inner->raw);
	free(inner);
}

CLEANUP_DEFINE(inner_filter, struct inner_filter, inner_filter_free)

/* An expression that the link type of the inner packet cannot match ("ether host" and raw IP) is no error. */
static int compile_inner(const struct filter_options *options, struct error *err, struct inner_filter **result)
{
	cleanup(cleanup_inner_filter) struct inner_filter *inner = calloc(1, sizeof(*inner));
	struct error ignored;

	if (!inner)
		return error_set(err, -ENOMEM, "out of memory");
	if (!tunnel_candidates(options->linktype))
		return error_set(err, -EINVAL, "no packet of link type %u can be a tunnel", options->linktype);
	int r = filter_compile_with_netmask(options->inner, LINKTYPE_ETHERNET, options->netmask, err, &inner->ethernet);
	if (r < 0)
		return r;
	r = filter_compile_with_netmask(options->inner, LINKTYPE_RAW, options->netmask, &ignored, &inner->raw);
	if (r < 0 && r != -EINVAL)
		return error_set(err, r, "%s", ignored.text);
	*result = take(inner);
	return 0;
}

static bool is_blank(const char *expression)
{
	return !expression[strspn(expression, " \t\n\r\v\f")];
}

/* Replaces the filter by one that accepts only what may be a tunnel, so that the kernel does not pass the rest. */
static int restrict_to_tunnels(const struct filter_options *options, struct error *err, struct filter **filter)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(COMBINED_BYTES_MAX);
	struct filter *restricted = NULL;
	int r = buffer_printf(&text, "(%s)", tunnel_candidates(options->linktype));

	if (r == 0 && options->bpf && !is_blank(options->bpf))
		r = buffer_printf(&text, " and (%s)", options->bpf);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = compile(options, buffer_text(&text), err, &restricted);
	if (r < 0)
		return r == -EINVAL ? error_set(err, r, "no packet that matches it can be a tunnel") : r;
	filter_free(*filter);
	*filter = restricted;
	return 0;
}

/* libpcap looks up names before it comes to a syntax error behind them. */
static int check_names(const struct filter_options *options, const char *expression, struct error *err)
{
	size_t length;
	const char *name = options->no_names ? filter_find_host_name(expression, &length) : NULL;

	if (!name)
		return 0;
	const int r = filter_check_syntax(expression, err);
	if (r < 0)
		return r;
	return error_set(err, -EACCES, "\"%.*s\": host names are not looked up (%s)",
			 (int)(length < NAME_SHOWN_MAX ? length : NAME_SHOWN_MAX), name, options->no_names);
}

static int compile_outer(const struct filter_options *options, struct error *err, struct filter **filter)
{
	const bool given = options->bpf && *options->bpf;
	int r = given ? filter_check_terms(options->bpf, err) : 0;

	if (r == 0 && given)
		r = check_names(options, options->bpf, err);
	if (r < 0 || (!given && (!options->required || !*options->required)))
		return r;
	return compile(options, given ? options->bpf : "", err, filter);
}

int filter_new(const struct filter_options *options, struct error *err, const char **field, struct filter **result)
{
	cleanup(cleanup_filter) struct filter *filter = NULL;

	*field = "bpf";
	int r = compile_outer(options, err, &filter);
	if (r == 0 && options->inner && *options->inner) {
		struct inner_filter *inner = NULL;

		*field = "inner";
		r = check_names(options, options->inner, err);
		if (r == 0)
			r = compile_inner(options, err, &inner);
		if (r == 0) {
			*field = "bpf";
			r = restrict_to_tunnels(options, err, &filter);
		}
		if (r == 0) {
			filter->inner = inner;
			filter->reach = REACH_UNKNOWN;
		} else {
			inner_filter_free(inner);
		}
	}
	if (r < 0) {
		error_prefix(err, "%s", *field);
		return r;
	}
	*result = take(filter);
	return 0;
}

int filter_compile(const char *expression, uint16_t linktype, struct error *err, struct filter **result)
{
	return filter_compile_with_netmask(expression, linktype, 0, err, result);
}

static int try_linktype(const struct filter_options *options, uint16_t linktype, struct error *err)
{
	cleanup(cleanup_filter) struct filter *filter = NULL;
	const struct filter_options tried = {.bpf = options->bpf,
					     .inner = options->inner,
					     .linktype = linktype,
					     .netmask = FILTER_CHECK_NETMASK};
	const char *field;

	return filter_new(&tried, err, &field, &filter);
}

/* Which link type the filter will be for is not known: it is valid if it can be compiled for one of them. */
int filter_check_options(const struct filter_options *options, struct error *err)
{
	static const uint16_t others[] = {LINKTYPE_IEEE802_11_RADIOTAP,
					  LINKTYPE_LINUX_SLL2,
					  LINKTYPE_RAW,
					  LINKTYPE_FDDI,
					  LINKTYPE_FRELAY,
					  LINKTYPE_FC_2};
	struct error ignored;
	const int r = try_linktype(options, LINKTYPE_ETHERNET, err);

	if (r != -EINVAL || filter_may_resolve_names(options->bpf) || filter_may_resolve_names(options->inner) ||
	    filter_check_syntax(options->bpf, &ignored) < 0 || filter_check_syntax(options->inner, &ignored) < 0)
		return r;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (try_linktype(options, others[i], &ignored) == 0)
			return 0;
	}
	return r;
}

int filter_check(const char *expression, struct error *err)
{
	cleanup(cleanup_filter) struct filter *filter = NULL;
	const struct filter_options options = {.bpf = expression};
	struct error ignored;
	const int r = filter_compile_with_netmask(expression, LINKTYPE_ETHERNET, FILTER_CHECK_NETMASK, err, &filter);

	return r == -EINVAL && filter_check_options(&options, &ignored) == 0 ? 0 : r;
}

struct filter *filter_share(struct filter *filter)
{
	if (filter)
		atomic_fetch_add_explicit(&filter->references, 1, memory_order_relaxed);
	return filter;
}

void filter_free(struct filter *filter)
{
	if (!filter || atomic_fetch_sub_explicit(&filter->references, 1, memory_order_acq_rel) > 1)
		return;
	inner_filter_free(filter->inner);
	bpf_vm_free(filter->vm);
	if (filter->kernel.bf_insns != filter->program.bf_insns)
		free(filter->kernel.bf_insns);
	pcap_freecode(&filter->program);
	free(filter);
}

const struct bpf_insn *filter_program(const struct filter *filter)
{
	return filter ? filter->program.bf_insns : NULL;
}

uint32_t filter_reach(const struct filter *filter)
{
	return filter->reach;
}

static bool matches_inner(const struct filter *filter, const uint8_t *packet, uint32_t wirelen, uint32_t caplen,
			  unsigned type)
{
	struct tunnel_packet inner;

	if (!tunnel_find(packet, caplen, filter->linktype, &inner))
		return false;
	const struct filter *of_inner =
		inner.linktype == LINKTYPE_ETHERNET ? filter->inner->ethernet : filter->inner->raw;
	return of_inner && bpf_vm_run(of_inner->vm, packet + inner.offset, wirelen - inner.offset,
				      caplen - inner.offset, type) != 0;
}

static __attribute__((noinline)) uint32_t run_with_inner(const struct filter *filter, const uint8_t *packet,
							 uint32_t wirelen, uint32_t caplen, unsigned type)
{
	const uint32_t accepted = bpf_vm_run(filter->vm, packet, wirelen, caplen, type);

	return accepted && matches_inner(filter, packet, wirelen, caplen, type) ? accepted : 0;
}

/* Both are jumps, not calls: a return costs a tenth of what a filter does to most packets. */
uint32_t filter_run(const struct filter *filter, const uint8_t *packet, uint32_t wirelen, uint32_t caplen,
		    unsigned type)
{
	if (__builtin_expect(filter->inner != NULL, false))
		return run_with_inner(filter, packet, wirelen, caplen, type);
	return bpf_vm_run(filter->vm, packet, wirelen, caplen, type);
}

static bool is_same_inner(const struct filter *one, const struct filter *other)
{
	return (!one && !other) || (one && other && filter_equal(one, other));
}

bool filter_equal(const struct filter *one, const struct filter *other)
{
	if (!one->inner != !other->inner || one->linktype != other->linktype)
		return false;
	if (one->inner && !(is_same_inner(one->inner->ethernet, other->inner->ethernet) &&
			    is_same_inner(one->inner->raw, other->inner->raw)))
		return false;
	const struct bpf_program *a = &one->program, *b = &other->program;

	return a->bf_len == b->bf_len && memcmp(a->bf_insns, b->bf_insns, a->bf_len * sizeof(*a->bf_insns)) == 0;
}

/* After Ethernet and a VLAN tag. At fixed offsets: the IPv6 header and ports. Relative to an indexed IPv4 header:
 * ports. */
#define HEADERS_REACH_ABSOLUTE (14 + 4 + 40 + 4)
#define HEADERS_REACH_INDEXED (14 + 4 + 4)

bool filter_reads_headers_only(const struct filter *filter)
{
	return !filter->inner && filter->reach_absolute <= HEADERS_REACH_ABSOLUTE &&
	       filter->reach_indexed <= HEADERS_REACH_INDEXED;
}
