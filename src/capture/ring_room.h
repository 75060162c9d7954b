/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much memory rings may take. Every ring takes its bytes here before the kernel allocates it, and gives them back
 * once it is closed. Any thread.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/host_memory.h"

struct ring_room {
	pthread_mutex_t lock;
	struct host_memory_files *files;
	uint64_t reserve_bytes;	  /* of the host's memory, left alone */
	uint64_t open_bytes;	  /* of all rings, those being allocated included */
	uint64_t pending_bytes;	  /* of those being allocated */
	uint64_t estimate_bytes;  /* what was free at estimated_ns */
	uint64_t estimated_ns;	  /* boot time; 0: never */
	_Atomic uint64_t refused; /* rings, since the start */
	_Atomic uint64_t shrunk;
};

/* `reserve_bytes` 0: the default. `root` as in host_memory_files_new(). 0 or -errno with `err`; deinit it in any case.
 */
warn_unused int ring_room_init(struct ring_room *room, const char *root, uint64_t reserve_bytes, struct error *err);
void ring_room_deinit(struct ring_room *room);

/* What rings may take, and which bound that is. */
struct ring_verdict {
	uint64_t free_bytes;
	bool by_cgroup;
};

/* The host's memory counts what is allocated already, but not the pending rings. The cgroup is charged for no ring, so
 * its limit is compared with all of them. */
struct ring_verdict ring_room_judge(const struct ring_room *room, const struct host_memory *memory);

struct ring_claim {
	size_t least_bytes, wanted_bytes;
	unsigned claims; /* number of such claims, this one included, that share what is free; 0 counts as 1 */
};

/*
 * Takes what is wanted, or less, for a ring that is about to be allocated. 0: `taken` bytes; if these are fewer than
 * wanted, `why` says why, otherwise it is empty. Else nothing is taken: -ENOMEM (less than the least is free), or
 * another -errno (the memory could not be looked at).
 */
warn_unused int ring_room_take(struct ring_room *room, const struct ring_claim *claim, size_t *taken,
			       struct error *why);

/* The ring is allocated, with `allocated` bytes of those that were taken for it; 0: it is not. */
void ring_room_settle(struct ring_room *room, size_t taken, size_t allocated);

void ring_room_give_back(struct ring_room *room, size_t bytes); /* an allocated ring was closed */

/* What is free now, or was within the last second. HOST_MEMORY_UNLIMITED if it cannot be told. */
uint64_t ring_room_estimate(struct ring_room *room);

/* What is free now. */
uint64_t ring_room_free(struct ring_room *room);

/* The largest part of a ring that is allocated without another look: half of the reserve, at least 64 MiB. */
size_t ring_room_step(const struct ring_room *room);
