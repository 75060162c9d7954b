/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batch is walked twice, to measure it and to read it, while pieces go on coming. So its end is fixed when it begins:
 * each part's last piece at that time. Parts that have a packet are in a heap, the earliest first.
 */
#include "output/live_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "capture/store.h"

struct piece {
	struct piece *next;
	struct store packets;
};

/* A place among a part's pieces, and the packet found there. */
struct place {
	struct piece *piece; /* NULL: no piece yet */
	struct store_reader reader;
	struct packet_view packet;
	bool has_packet;
};

struct part {
	struct piece *first, *last;
	struct piece *batch_last; /* the batch has no packets of later pieces */
	struct place begin, at;	  /* of the batch; while it is walked */
	uint16_t interface;
};

struct live_queue {
	uint64_t packets_max, bytes_max;
	uint64_t packets, bytes; /* of the batches before */
	uint64_t batch_packets, batch_bytes, batch_until_ns;
	size_t part_count, heap_size;
	struct part **heap; /* by the packets at `at` */
	struct part parts[];
};

struct live_queue *live_queue_new(size_t parts, uint64_t packets, uint64_t bytes)
{
	struct live_queue *queue = calloc(1, sizeof(*queue) + parts * sizeof(*queue->parts));

	if (!queue)
		return NULL;
	queue->packets_max = packets;
	queue->bytes_max = bytes;
	queue->part_count = parts;
	queue->heap = calloc(parts + 1, sizeof(*queue->heap));
	if (queue->heap)
		return queue;
	free(queue);
	return NULL;
}

static void free_first(struct part *part)
{
	struct piece *piece = part->first;

	part->first = piece->next;
	if (!part->first)
		part->last = NULL;
	store_deinit(&piece->packets);
	free(piece);
}

void live_queue_free(struct live_queue *queue)
{
	if (!queue)
		return;
	for (size_t i = 0; i < queue->part_count; i++)
		while (queue->parts[i].first)
			free_first(&queue->parts[i]);
	free(queue->heap);
	free(queue);
}

void live_queue_set_interface(struct live_queue *queue, size_t part, uint16_t interface)
{
	queue->parts[part].interface = interface;
}

int live_queue_add(struct live_queue *queue, size_t part_index, struct store *packets)
{
	struct part *part = &queue->parts[part_index];
	struct piece *piece = calloc(1, sizeof(*piece));

	if (!piece)
		return -ENOMEM;
	store_move(&piece->packets, packets);
	if (part->last)
		part->last->next = piece;
	else
		part->first = piece;
	part->last = piece;
	return 0;
}

/* --- a batch --- */

static void enter_piece(struct place *place, struct piece *piece)
{
	place->piece = piece;
	store_reader_init(&place->reader, &piece->packets);
}

/* Goes on to the next packet of the batch's pieces. */
static void advance_place(const struct part *part, struct place *place)
{
	place->has_packet = false;
	while (part->batch_last) {
		place->has_packet = store_reader_next(&place->reader, &place->packet);
		if (place->has_packet || place->piece == part->batch_last)
			return;
		enter_piece(place, place->piece->next);
	}
}

/* Gives back what the batch before has passed, and finds where this one begins. */
static void begin_part(struct part *part)
{
	part->begin = part->at;
	part->batch_last = part->last;
	if (!part->last)
		return;
	if (!part->begin.piece)
		enter_piece(&part->begin, part->first);
	if (!part->begin.has_packet)
		advance_place(part, &part->begin);
	while (part->first && (part->first != part->begin.piece || !part->begin.has_packet))
		free_first(part);
	if (!part->begin.has_packet) {
		part->begin = (struct place){0};
		part->batch_last = NULL;
	}
	part->at = part->begin;
}

static bool is_earlier(const struct part *part, const struct part *than)
{
	const uint64_t ns = part->at.packet.arrived_ns, than_ns = than->at.packet.arrived_ns;

	return ns != than_ns ? ns < than_ns : part < than;
}

/* Puts the part into its place below `at`, which is free. */
static void sift_down(struct live_queue *queue, size_t at, struct part *part)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= queue->heap_size)
			break;
		if (child + 1 < queue->heap_size && is_earlier(queue->heap[child + 1], queue->heap[child]))
			child++;
		if (!is_earlier(queue->heap[child], part))
			break;
		queue->heap[at] = queue->heap[child];
		at = child;
	}
	queue->heap[at] = part;
}

static void rewind_batch(void *ctx)
{
	struct live_queue *queue = ctx;

	queue->batch_packets = queue->batch_bytes = queue->heap_size = 0;
	for (size_t i = 0; i < queue->part_count; i++) {
		struct part *part = &queue->parts[i];

		part->at = part->begin;
		if (part->at.has_packet)
			queue->heap[queue->heap_size++] = part;
	}
	for (size_t i = queue->heap_size / 2; i > 0; i--)
		sift_down(queue, i - 1, queue->heap[i - 1]);
}

static bool is_spent(const struct live_queue *queue)
{
	return queue->packets + queue->batch_packets >= queue->packets_max ||
	       queue->bytes + queue->batch_bytes >= queue->bytes_max;
}

static bool next_packet(void *ctx, struct packet_view *packet)
{
	struct live_queue *queue = ctx;
	struct part *part = queue->heap_size ? queue->heap[0] : NULL;

	if (!part || part->at.packet.arrived_ns >= queue->batch_until_ns ||
	    queue->batch_packets >= LIVE_QUEUE_BATCH_PACKETS || is_spent(queue))
		return false;
	*packet = part->at.packet;
	packet->interface = part->interface;
	queue->batch_packets++;
	queue->batch_bytes += packet->caplen;
	advance_place(part, &part->at);
	if (!part->at.has_packet)
		part = queue->heap[--queue->heap_size]; /* the last takes its place */
	if (queue->heap_size)
		sift_down(queue, 0, part);
	return true;
}

void live_queue_begin_batch(struct live_queue *queue, uint64_t until_ns)
{
	queue->packets += queue->batch_packets;
	queue->bytes += queue->batch_bytes;
	queue->batch_until_ns = until_ns;
	for (size_t i = 0; i < queue->part_count; i++)
		begin_part(&queue->parts[i]);
	rewind_batch(queue);
}

struct packet_source live_queue_batch(struct live_queue *queue)
{
	return (struct packet_source){.rewind = rewind_batch, .next = next_packet, .ctx = queue};
}

bool live_queue_is_empty(const struct live_queue *queue)
{
	if (is_spent(queue))
		return true;
	for (size_t i = 0; i < queue->part_count; i++)
		if (queue->parts[i].at.has_packet || queue->parts[i].last != queue->parts[i].batch_last)
			return false;
	return true;
}

uint64_t live_queue_packets(const struct live_queue *queue)
{
	return queue->packets + queue->batch_packets;
}

uint64_t live_queue_bytes(const struct live_queue *queue)
{
	return queue->bytes + queue->batch_bytes;
}
