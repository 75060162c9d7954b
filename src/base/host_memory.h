/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much memory the host has, and how much the process's cgroups allow: /proc/meminfo, and the limits of cgroup v2 or
 * v1 from the process's own cgroup up to the root (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"

#define HOST_MEMORY_UNLIMITED UINT64_MAX

struct host_memory {
	uint64_t total_bytes;
	uint64_t available_bytes;    /* what can be allocated without swapping, as the kernel estimates it */
	uint64_t cgroup_limit_bytes; /* the lowest limit; HOST_MEMORY_UNLIMITED: none */
	uint64_t cgroup_left_bytes;  /* the least that a limit leaves; page cache not used lately does not count */
};

struct host_memory_files;

/* Finds the cgroups of this process; where it is moved to later is not noticed. `root` is put before every path: "",
 * except in tests. NULL on ENOMEM. */
struct host_memory_files *host_memory_files_new(const char *root);
void host_memory_files_free(struct host_memory_files *files);

/* Reads a few files of /proc and /sys, about 100 µs. 0 or -errno: no descriptor or memory for that. Any thread. */
warn_unused int host_memory_read(const struct host_memory_files *files, struct host_memory *memory);

/* What rings leave alone: `configured` bytes, or if that is 0 the larger of a tenth of the memory and 256 MiB. */
uint64_t host_memory_reserve(const struct host_memory *memory, uint64_t configured);

CLEANUP_DEFINE(host_memory_files, struct host_memory_files, host_memory_files_free)
