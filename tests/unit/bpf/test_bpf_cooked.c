/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs for Linux cooked v2 become programs for what the kernel has: no header, and ancillary data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/bpf_cooked.h"
#include "bpf/bpf_optimise.h"

#define HEADER 20

static const uint8_t udp[] = {0x45, 0, 0, 36, 0, 0, 0, 0,  64, 17, 0, 0, 10,  0,   0,  1,
			      10,   0, 0, 2,  3, 1, 0, 53, 0,  16, 0, 0, 'p', 'a', 'y'};

static struct bpf_program compile(const char *expression)
{
	pcap_t *pcap = pcap_open_dead(DLT_LINUX_SLL2, 262144);
	struct bpf_program program;

	assert_non_null(pcap);
	assert_int_equal(pcap_compile(pcap, &program, expression, 0, PCAP_NETMASK_UNKNOWN), 0);
	pcap_close(pcap);
	struct bpf_insn *better = calloc(program.bf_len, sizeof(*better)); /* constant offsets become such */
	assert_non_null(better);
	const int count = bpf_optimise(program.bf_insns, program.bf_len, better);
	assert_true(count >= 0);
	if (count) {
		memcpy(program.bf_insns, better, (size_t)count * sizeof(*better));
		program.bf_len = (unsigned)count;
	}
	free(better);
	return program;
}

/* What the kernel would load: libpcap's interpreter has no ancillary data. */
static void fill_in_ancillary(struct bpf_program *program, const uint8_t header[static HEADER])
{
	for (unsigned i = 0; i < program->bf_len; i++) {
		struct bpf_insn *insn = &program->bf_insns[i];
		uint32_t value = 0;

		if (!bpf_cooked_loads_ancillary(insn))
			continue;
		if (insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL))
			value = (uint32_t)(header[0] << 8 | header[1]);
		else if (insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX))
			value = header[7];
		else if (insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE))
			value = (uint32_t)(header[8] << 8 | header[9]);
		else if (insn->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE))
			value = header[10];
		*insn = (struct bpf_insn){.code = BPF_LD | BPF_IMM, .k = value};
	}
}

static void test_verdicts_are_those_with_the_header(void **state)
{
	static const char *const expressions[] = {"ip",
						  "ip6",
						  "arp",
						  "udp",
						  "udp port 53",
						  "udp port 54",
						  "host 10.0.0.1",
						  "src host 10.0.0.2",
						  "not ip",
						  "inbound",
						  "outbound",
						  "ip[9] = 17",
						  "udp[2:2] = 53",
						  "udp[10] = 0x61",
						  "ether proto 0x88cc",
						  "link[8:2] = 512",
						  "link[10] = 4",
						  "link[0:2] = 0x800",
						  "link[4:4] = 3",
						  "ip[2:2] - ((ip[0]&0xf)<<2) > 10 and udp",
						  "tcp or icmp or udp port 53"};
	static const uint8_t headers[][HEADER] = {{8, 0, [7] = 3, [8] = 2, 0, 0, 0},
						  {8, 0, [7] = 9, [8] = 2, 0, 4, 0},
						  {0x86, 0xdd, [7] = 3, [8] = 3, 1},
						  {8, 6},
						  {0x88, 0xcc}};

	(void)state;
	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
		for (size_t k = 0; k < sizeof(headers) / sizeof(*headers); k++) {
			struct bpf_program with = compile(expressions[i]), without = compile(expressions[i]);
			uint8_t packet[HEADER + sizeof(udp)];

			memcpy(packet, headers[k], HEADER);
			memcpy(packet + HEADER, udp, sizeof(udp));
			assert_true(bpf_cooked_to_kernel(without.bf_insns, without.bf_len));
			fill_in_ancillary(&without, headers[k]);
			fill_in_ancillary(&with, headers[k]); /* "inbound" loads the type like that at once */
			for (unsigned size = 0; size <= sizeof(udp); size++) {
				const unsigned expected =
					bpf_filter(with.bf_insns, packet, HEADER + size, HEADER + size);

				if (bpf_filter(without.bf_insns, udp, size, size) != expected)
					fail_msg("%s, header %zu, %u bytes", expressions[i], k, size);
			}
			pcap_freecode(&with);
			pcap_freecode(&without);
		}
	}
}

static void test_programs_that_the_kernel_cannot_run_are_refused(void **state)
{
	static const char *const expressions[] = {"less 100",	    "len = 56",	      "link[3] = 0",
						  "link[11:2] = 6", "link[18:4] = 5", "link[ip[0]] = 1"};

	(void)state;
	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
		struct bpf_program program = compile(expressions[i]);

		if (bpf_cooked_to_kernel(program.bf_insns, program.bf_len))
			fail_msg("%s", expressions[i]);
		pcap_freecode(&program);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts_are_those_with_the_header),
		cmocka_unit_test(test_programs_that_the_kernel_cannot_run_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
