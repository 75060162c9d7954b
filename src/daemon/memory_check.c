/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each ring is judged when it is opened (capture/ring_room.h); this looks at the configuration as a whole, captured
 * packets and files in memory included, which nothing judges beforehand. A recorder whose interface was replaced may
 * have a second ring for a while; that is left out here.
 */
#include "daemon/memory_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/host_memory.h"
#include "base/log.h"
#include "base/quantity.h"
#include "capture/engine.h"
#include "config/config.h"

#define OOM_SCORE_FILE "/proc/self/oom_score_adj"

bool memory_check(const struct config *config, const struct host_memory *memory, struct error *warning)
{
	const struct {
		const char *name;
		uint64_t bytes;
	} parts[] = {
		{"history.memory", config->history.memory_bytes * config->history.interfaces.count},
		{"limits.ring_memory",
		 config->limits.ring_memory_bytes ? config->limits.ring_memory_bytes : engine_ring_memory(memory)},
		{"limits.memory", config->limits.memory_bytes},
		{"limits.warm_memory", config->limits.warm_memory_bytes},
		{"memory.bytes", config->memory.bytes},
	};
	const uint64_t reserve = host_memory_reserve(memory, config->limits.ring_reserve_bytes);
	const uint64_t usable = memory->total_bytes > reserve ? memory->total_bytes - reserve : 0;
	char list[512] = "";
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const size_t used = strlen(list);

		if (parts[i].bytes)
			snprintf(list + used, sizeof(list) - used, "%s%s %" PRIu64 " MiB", used ? ", " : "",
				 parts[i].name, parts[i].bytes / MIB);
		sum += parts[i].bytes;
	}
	if (sum > memory->cgroup_limit_bytes && memory->cgroup_limit_bytes < usable)
		error_set(warning, 0,
			  "the configuration may take %" PRIu64 " MiB of memory (%s); the cgroup's limit is %" PRIu64
			  " MiB",
			  sum / MIB, list, memory->cgroup_limit_bytes / MIB);
	else if (sum > usable)
		error_set(warning, 0,
			  "the configuration may take %" PRIu64 " MiB of memory (%s); this host has %" PRIu64
			  " MiB, of which %" PRIu64 " MiB stay free (limits.ring_reserve)",
			  sum / MIB, list, memory->total_bytes / MIB, reserve / MIB);
	else
		return false;
	return true;
}

bool memory_check_host(const struct config *config, struct error *warning)
{
	cleanup(cleanup_host_memory_files) struct host_memory_files *files = host_memory_files_new("");
	struct host_memory memory;

	return files && host_memory_read(files, &memory) == 0 && memory_check(config, &memory, warning);
}

static bool is_at_least(const char *text, uint64_t score)
{
	char *end;
	const long value = strtol(text, &end, 10);

	return end != text && value >= 0 && (uint64_t)value >= score;
}

void memory_raise_oom_score(uint64_t score)
{
	if (!score)
		return;
	cleanup(cleanup_close) const int fd = open(OOM_SCORE_FILE, O_RDWR | O_CLOEXEC);
	char text[24] = "";
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && is_at_least(text, score))
		return;
	snprintf(text, sizeof(text), "%" PRIu64, score);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		log_warning("oom-score-not-set", log_uint("score", score), log_str("error", strerror(errno)));
}
