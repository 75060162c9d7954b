/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel does not charge a ring to a cgroup, and when memory runs out it ends processes before it refuses a ring.
 * So rings are judged by what the kernel estimates to be available, less a reserve for everything else on the host. A
 * cgroup's limit is what the administrator wants this service to use at most; rings count against it here, although the
 * kernel does not count them.
 *
 * Files are read with `lock` held, so that two rings never rely on the same memory.
 */
#include "capture/ring_room.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/quantity.h"

#define STEP_MIN (64 * (size_t)MIB)
#define ESTIMATE_NS NS_PER_S

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

int ring_room_init(struct ring_room *room, const char *root, uint64_t reserve_bytes, struct error *err)
{
	struct host_memory memory;

	*room = (struct ring_room){.files = host_memory_files_new(root)};
	pthread_mutex_init(&room->lock, NULL);
	const int r = room->files ? host_memory_read(room->files, &memory) : -ENOMEM;
	if (r < 0)
		return error_set(err, r, "reading how much memory there is: %s", strerror(-r));
	room->reserve_bytes = host_memory_reserve(&memory, reserve_bytes);
	return 0;
}

void ring_room_deinit(struct ring_room *room)
{
	host_memory_files_free(room->files);
	pthread_mutex_destroy(&room->lock);
}

struct ring_verdict ring_room_judge(const struct ring_room *room, const struct host_memory *memory)
{
	const uint64_t of_host = minus(memory->available_bytes, room->reserve_bytes + room->pending_bytes);
	const uint64_t of_cgroup = memory->cgroup_left_bytes == HOST_MEMORY_UNLIMITED
					   ? HOST_MEMORY_UNLIMITED
					   : minus(memory->cgroup_left_bytes, room->open_bytes);

	return of_cgroup < of_host ? (struct ring_verdict){.free_bytes = of_cgroup, .by_cgroup = true}
				   : (struct ring_verdict){.free_bytes = of_host};
}

/* Called with `lock` held. */
static int judge(struct ring_room *room, struct host_memory *memory, struct ring_verdict *verdict)
{
	const int r = host_memory_read(room->files, memory);

	if (r < 0)
		return r;
	*verdict = ring_room_judge(room, memory);
	room->estimate_bytes = verdict->free_bytes;
	room->estimated_ns = clock_boottime_ns();
	return 0;
}

static void explain(const struct ring_room *room, const struct host_memory *memory, const struct ring_verdict *verdict,
		    unsigned claims, struct error *why)
{
	char shared[48] = "";

	if (claims > 1)
		snprintf(shared, sizeof(shared), "; %u rings get equal parts", claims);
	if (verdict->by_cgroup)
		error_set(why, 0, "the cgroup's limit of %" PRIu64 " MiB leaves %" PRIu64 " MiB for rings%s",
			  memory->cgroup_limit_bytes / MIB, verdict->free_bytes / MIB, shared);
	else
		error_set(why, 0,
			  "the host has %" PRIu64 " MiB of memory available, of which %" PRIu64
			  " MiB stay free (limits.ring_reserve)%s",
			  memory->available_bytes / MIB, room->reserve_bytes / MIB, shared);
}

/* Called with `lock` held. */
static int take_bytes(struct ring_room *room, const struct ring_claim *claim, size_t *taken, struct error *why)
{
	struct host_memory memory;
	struct ring_verdict verdict;
	const int r = judge(room, &memory, &verdict);

	if (r < 0)
		return error_set(why, r, "reading how much memory there is: %s", strerror(-r));
	const uint64_t share_bytes = verdict.free_bytes / (claim->claims ? claim->claims : 1);
	const size_t bytes = share_bytes < claim->wanted_bytes ? (size_t)share_bytes : claim->wanted_bytes;
	if (bytes < claim->wanted_bytes)
		explain(room, &memory, &verdict, claim->claims, why);
	if (bytes < claim->least_bytes)
		return -ENOMEM;
	room->open_bytes += bytes;
	room->pending_bytes += bytes;
	*taken = bytes;
	return 0;
}

int ring_room_take(struct ring_room *room, const struct ring_claim *claim, size_t *taken, struct error *why)
{
	why->text[0] = '\0';
	pthread_mutex_lock(&room->lock);
	const int r = take_bytes(room, claim, taken, why);
	pthread_mutex_unlock(&room->lock);
	return r;
}

void ring_room_settle(struct ring_room *room, size_t taken, size_t allocated)
{
	pthread_mutex_lock(&room->lock);
	room->pending_bytes -= taken;
	room->open_bytes -= taken - allocated;
	pthread_mutex_unlock(&room->lock);
}

void ring_room_give_back(struct ring_room *room, size_t bytes)
{
	pthread_mutex_lock(&room->lock);
	room->open_bytes -= bytes;
	pthread_mutex_unlock(&room->lock);
}

static uint64_t estimate(struct ring_room *room, uint64_t max_age_ns)
{
	struct host_memory memory;
	struct ring_verdict verdict = {.free_bytes = HOST_MEMORY_UNLIMITED};

	pthread_mutex_lock(&room->lock);
	if (room->estimated_ns && clock_boottime_ns() - room->estimated_ns < max_age_ns)
		verdict.free_bytes = room->estimate_bytes;
	else if (judge(room, &memory, &verdict) < 0)
		verdict.free_bytes = HOST_MEMORY_UNLIMITED;
	pthread_mutex_unlock(&room->lock);
	return verdict.free_bytes;
}

uint64_t ring_room_estimate(struct ring_room *room)
{
	return estimate(room, ESTIMATE_NS);
}

uint64_t ring_room_free(struct ring_room *room)
{
	return estimate(room, 0);
}

size_t ring_room_step(const struct ring_room *room)
{
	const uint64_t half = room->reserve_bytes / 2;

	return half > STEP_MIN ? (size_t)half : STEP_MIN;
}
