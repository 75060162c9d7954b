/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads /proc, and asks the kernel for offloads (SIOCETHTOOL) as ethtool -k does. */
#include "pcapctl/doctor/doctor_host.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "pcapctl/doctor/findings.h"
#include "pcapctl/output/format.h"

#define OPTMEM_WANTED 131072 /* bytes; the kernel's default since 6.10 */
#define FREE_WANTED_PERCENT 10
#define INTERFACES_MAX 64

/* The first number after `label` ("": at the start) of a small file. False: there is none. */
static bool read_number(const char *root, const char *path, const char *label, uint64_t *number)
{
	char full[PATH_MAX], line[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	cleanup(cleanup_fclose) FILE *file = fopen(full, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, label, strlen(label)) == 0 && sscanf(line + strlen(label), "%" SCNu64, number) == 1)
			return true;
	}
	return false;
}

static void check_filter_room(struct findings *findings, const char *root)
{
	uint64_t bytes;

	if (!read_number(root, "/proc/sys/net/core/optmem_max", "", &bytes))
		return; /* another network namespace than the first has none before Linux 6.7 */
	if (bytes < OPTMEM_WANTED)
		finding_add(findings, FINDING_WARNING, "optmem_max",
			    "sysctl -w net.core.optmem_max=131072, and the same in /etc/sysctl.d",
			    "net.core.optmem_max is %" PRIu64
			    " bytes: filters that do not fit in the kernel cost CPU in the daemon",
			    bytes);
	else
		finding_add(findings, FINDING_OK, "optmem_max", "", "net.core.optmem_max has room for filters");
}

static void check_memory(struct findings *findings, const char *root)
{
	uint64_t total_kib, available_kib;
	char free_text[FORMAT_SIZE], total_text[FORMAT_SIZE];

	if (!read_number(root, "/proc/meminfo", "MemTotal:", &total_kib) || !total_kib ||
	    !read_number(root, "/proc/meminfo", "MemAvailable:", &available_kib))
		return;
	format_bytes(available_kib * 1024, free_text);
	format_bytes(total_kib * 1024, total_text);
	if (available_kib * 100 < total_kib * FREE_WANTED_PERCENT)
		finding_add(
			findings, FINDING_WARNING, "memory",
			"lower history.memory, limits.memory or limits.rings, or give the host more memory",
			"only %s of %s of memory is available: new rings may be small, and the host may kill programs",
			free_text, total_text);
	else
		finding_add(findings, FINDING_OK, "memory", "", "%s of %s of memory is available", free_text,
			    total_text);
}

void doctor_kernel(struct findings *findings, const char *root)
{
	check_filter_room(findings, root);
	check_memory(findings, root);
}

/* --- offloads --- */

static bool is_on(int fd, const char *interface, uint32_t command, uint32_t mask)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq request = {.ifr_data = (void *)&value};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	return ioctl(fd, SIOCETHTOOL, &request) == 0 && value.data & mask;
}

void doctor_judge_offloads(struct findings *findings, const char *interface, bool lro, const char *names)
{
	char advice[256];

	if (lro) {
		snprintf(advice, sizeof(advice), "ethtool -K %s lro off", interface);
		finding_add(findings, FINDING_WARNING, "lro", advice,
			    "%s: lro is on: the NIC joins packets before they can be captured, and headers are lost",
			    interface);
	}
	if (!*names)
		return;
	snprintf(advice, sizeof(advice),
		 "nothing; or `ethtool -K %s gro off tso off gso off` where sizes must be the wire's, which costs CPU",
		 interface);
	finding_add(findings, FINDING_NOTE, "offloads", advice,
		    "%s: %s on: captures show packets that the kernel joins, or has yet to split", interface, names);
}

static void check_offloads(struct findings *findings, int fd, const char *interface)
{
	static const struct {
		const char *name;
		uint32_t command;
	} offloads[] = {{"gro", ETHTOOL_GGRO}, {"tso", ETHTOOL_GTSO}, {"gso", ETHTOOL_GGSO}};
	cleanup(buffer_deinit) struct buffer names = BUFFER_INIT(64);

	for (size_t i = 0; i < sizeof(offloads) / sizeof(*offloads); i++) {
		if (is_on(fd, interface, offloads[i].command, UINT32_MAX) &&
		    buffer_printf(&names, "%s%s", names.size ? ", " : "", offloads[i].name) < 0)
			break;
	}
	doctor_judge_offloads(findings, interface, is_on(fd, interface, ETHTOOL_GFLAGS, ETH_FLAG_LRO),
			      buffer_text(&names));
}

static bool is_used(const json_t *interface)
{
	return json_is_true(json_object_get(interface, "recorder")) || json_number(interface, "captures") > 0;
}

void doctor_offloads(struct findings *findings, const json_t *interfaces)
{
	cleanup(cleanup_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t i, used = 0, checked = 0;
	json_t *interface;

	json_array_foreach(interfaces, i, interface)
	{
		used += is_used(interface);
	}
	json_array_foreach(interfaces, i, interface)
	{
		const char *name = json_text(interface, "name");

		if (fd < 0 || checked == INTERFACES_MAX || strcmp(name, "lo") == 0 ||
		    (used ? !is_used(interface) : !json_is_true(json_object_get(interface, "up"))))
			continue;
		check_offloads(findings, fd, name);
		checked++;
	}
}
