/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first slab is small, since most captures are; each next one doubles, up to SLAB_BYTES. Slabs of that size come
 * from the pool and go back to it. Smaller ones are mapped rather than malloc'ed, so that a delivered capture's memory
 * returns to the system at once.
 */
#include "capture/store.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_FIRST_BYTES (32u << 10)
#define RECORD_ALIGN 8
#define ORDER_STEP 1024 /* packets whose sorting is charged at a time */

struct slab {
	struct slab *next;
	size_t mapped_bytes; /* including this header */
	size_t used_bytes;   /* likewise */
};

#define SLAB_HEADER sizeof(struct slab)
static_assert(SLAB_HEADER % RECORD_ALIGN == 0, "the first record is aligned");

struct store_record {
	uint64_t time_ns;
	uint64_t arrived_ns;
	uint32_t caplen;
	uint32_t wirelen;
	uint16_t interface;
	uint8_t meta;
	bool odd_stamp;
	uint8_t data[]; /* with META_MISSING, after that count, unaligned */
};

/* Direction and reception stand where epb_flags has them. */
#define META_DIRECTION 0x03
#define META_CHECKSUM_NOT_READY 0x20
#define META_MISSING 0x40
static_assert(PACKET_DIR_OUTBOUND <= META_DIRECTION && PACKET_FLAGS_RECEPTION == 0x1c, "they fit beside each other");

static uint8_t meta_of(const struct packet_view *packet)
{
	return (uint8_t)(packet->direction | (packet->flags & PACKET_FLAGS_RECEPTION) |
			 (packet->flags & PACKET_FLAG_CHECKSUM_NOT_READY ? META_CHECKSUM_NOT_READY : 0) |
			 (packet->missing ? META_MISSING : 0));
}

static uint32_t flags_of(uint8_t meta)
{
	return (meta & PACKET_FLAGS_RECEPTION) | (meta & META_CHECKSUM_NOT_READY ? PACKET_FLAG_CHECKSUM_NOT_READY : 0);
}

void store_init(struct store *store, struct budget *budget)
{
	*store = (struct store){.budget = budget};
}

void store_deinit(struct store *store)
{
	struct slab *next;

	for (struct slab *slab = store->first; slab; slab = next) {
		next = slab->next;
		if (slab->mapped_bytes == SLAB_BYTES)
			slab_pool_give(store->budget->slabs, slab);
		else
			munmap(slab, slab->mapped_bytes);
	}
	free(store->order);
	budget_return(store->budget, store->charged_bytes);
	store_init(store, store->budget);
}

void store_move(struct store *into, struct store *from)
{
	*into = *from;
	store_init(from, into->budget);
}

/* Relaxed order is enough: the counter guards an amount, not other memory. */
static bool charge_one(struct budget *budget, size_t bytes)
{
	size_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);

	do {
		if (bytes > budget->limit_bytes || used > budget->limit_bytes - bytes)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&budget->used_bytes, &used, used + bytes, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

bool budget_charge(struct budget *budget, size_t bytes)
{
	if (!charge_one(budget, bytes))
		return false;
	if (!budget->parent || budget_charge(budget->parent, bytes))
		return true;
	atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
	return false;
}

void budget_return(struct budget *budget, size_t bytes)
{
	for (; budget; budget = budget->parent)
		atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}

static void return_budget(struct store *store, size_t bytes)
{
	store->charged_bytes -= bytes;
	budget_return(store->budget, bytes);
}

/* What sorting takes: the order, and scratch for half of it. */
static size_t order_bytes(uint64_t packets)
{
	return packets ? (packets + packets / 2 + 1) * sizeof(struct store_record *) : 0;
}

static bool reserve_order(struct store *store, uint64_t packets)
{
	const uint64_t wanted = (packets + ORDER_STEP - 1) / ORDER_STEP * ORDER_STEP;

	if (packets <= store->order_packets)
		return true;
	const size_t bytes = order_bytes(wanted) - order_bytes(store->order_packets);
	if (!budget_charge(store->budget, bytes))
		return false;
	store->charged_bytes += bytes;
	store->order_packets = wanted;
	return true;
}

static struct slab *map_slab(size_t size)
{
	struct slab *slab = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (slab == MAP_FAILED)
		return NULL;
	madvise(slab, size, MADV_DONTDUMP);
	return slab;
}

static int add_slab(struct store *store, size_t record_size)
{
	size_t size = store->last ? store->last->mapped_bytes * 2 : SLAB_FIRST_BYTES;

	if (size > SLAB_BYTES)
		size = SLAB_BYTES;
	while (size < record_size + SLAB_HEADER)
		size *= 2;
	if (!budget_charge(store->budget, size)) {
		size = SLAB_FIRST_BYTES; /* use the rest of the budget */
		while (size < record_size + SLAB_HEADER)
			size *= 2;
		if (!budget_charge(store->budget, size))
			return -ENOBUFS;
	}
	struct slab *slab = size == SLAB_BYTES ? slab_pool_take(store->budget->slabs) : map_slab(size);
	if (!slab) {
		budget_return(store->budget, size);
		return -ENOMEM;
	}
	slab->next = NULL;
	slab->mapped_bytes = size;
	slab->used_bytes = SLAB_HEADER;
	store->charged_bytes += size;
	if (store->last)
		store->last->next = slab;
	else
		store->first = slab;
	store->last = slab;
	return 0;
}

static size_t missing_size(uint8_t meta)
{
	return meta & META_MISSING ? sizeof(uint64_t) : 0;
}

static size_t record_size(uint32_t caplen, uint8_t meta)
{
	const size_t size = offsetof(struct store_record, data) + missing_size(meta) + caplen;

	return (size + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

int store_add(struct store *store, const struct packet_view *packet, const uint8_t *head, uint32_t head_size)
{
	const uint8_t meta = meta_of(packet);
	const size_t size = record_size(packet->caplen, meta);
	const bool out_of_order = store->out_of_order || packet->arrived_ns < store->latest_ns;

	if (out_of_order && !reserve_order(store, store->packets + 1))
		return -ENOBUFS;
	if (!store->last || store->last->mapped_bytes - store->last->used_bytes < size) {
		int r = add_slab(store, size);

		if (r < 0)
			return r;
	}
	struct store_record *record = (void *)((uint8_t *)store->last + store->last->used_bytes);
	record->time_ns = packet->time_ns;
	record->arrived_ns = packet->arrived_ns;
	record->caplen = packet->caplen;
	record->wirelen = packet->wirelen;
	record->interface = packet->interface;
	record->odd_stamp = packet->odd_stamp;
	record->meta = meta;
	uint8_t *data = record->data + missing_size(meta);
	memcpy(record->data, &packet->missing, missing_size(meta));
	if (head_size > packet->caplen)
		head_size = packet->caplen;
	if (head_size)
		memcpy(data, head, head_size);
	memcpy(data + head_size, packet->data, packet->caplen - head_size);
	store->last->used_bytes += size;
	store->packets++;
	store->out_of_order = out_of_order;
	store->latest_ns = packet->arrived_ns;
	return 0;
}

static const struct store_record *next_record(const struct slab **slab, size_t *offset)
{
	while (*slab && *offset >= (*slab)->used_bytes) {
		*slab = (*slab)->next;
		*offset = SLAB_HEADER;
	}
	if (!*slab)
		return NULL;
	const struct store_record *record = (const void *)((const uint8_t *)*slab + *offset);
	*offset += record_size(record->caplen, record->meta);
	return record;
}

/* A stable merge sort: equal times keep their order. Two runs that are already in order, as nearly all are, cost one
 * comparison. */
static void sort_by_time(const struct store_record **order, const struct store_record **scratch, size_t count)
{
	if (count < 2)
		return;
	const size_t middle = count / 2;
	sort_by_time(order, scratch, middle);
	sort_by_time(order + middle, scratch, count - middle);
	if (order[middle - 1]->arrived_ns <= order[middle]->arrived_ns)
		return;
	memcpy(scratch, order, middle * sizeof(*order));
	size_t left = 0, right = middle, at = 0;
	while (left < middle && right < count)
		order[at++] = order[right]->arrived_ns < scratch[left]->arrived_ns ? order[right++] : scratch[left++];
	memcpy(order + at, scratch + left, (middle - left) * sizeof(*order));
}

int store_seal(struct store *store)
{
	if (!store->out_of_order || store->order)
		return 0;
	cleanup(cleanup_free) const struct store_record **scratch = calloc(store->packets / 2 + 1, sizeof(*scratch));
	cleanup(cleanup_free) const struct store_record **order = calloc(store->packets, sizeof(*order));
	if (!order || !scratch)
		return -ENOMEM; /* still readable, in order of arrival */
	const struct slab *slab = store->first;
	size_t offset = SLAB_HEADER;
	for (size_t i = 0; i < store->packets; i++)
		order[i] = next_record(&slab, &offset);
	sort_by_time(order, scratch, store->packets);
	store->order = take(order);
	return_budget(store, order_bytes(store->order_packets) - store->packets * sizeof(*store->order));
	return 0;
}

static void rewind_reader(void *ctx)
{
	struct store_reader *reader = ctx;

	reader->slab = reader->store->first;
	reader->offset = reader->store->order ? 0 : SLAB_HEADER;
}

void store_reader_init(struct store_reader *reader, const struct store *store)
{
	reader->store = store;
	rewind_reader(reader);
}

bool store_reader_next(struct store_reader *reader, struct packet_view *packet)
{
	const struct store_record *record;

	if (!reader->store->order)
		record = next_record(&reader->slab, &reader->offset);
	else
		record = reader->offset < reader->store->packets ? reader->store->order[reader->offset++] : NULL;
	if (!record)
		return false;
	*packet = (struct packet_view){
		.time_ns = record->time_ns,
		.arrived_ns = record->arrived_ns,
		.odd_stamp = record->odd_stamp,
		.data = record->data + missing_size(record->meta),
		.caplen = record->caplen,
		.wirelen = record->wirelen,
		.interface = record->interface,
		.direction = record->meta & META_DIRECTION,
		.flags = flags_of(record->meta),
	};
	memcpy(&packet->missing, record->data, missing_size(record->meta));
	return true;
}

static bool next_packet(void *ctx, struct packet_view *packet)
{
	return store_reader_next(ctx, packet);
}

struct packet_source store_reader_source(struct store_reader *reader)
{
	return (struct packet_source){.rewind = rewind_reader, .next = next_packet, .ctx = reader};
}
