/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A heap of packets, ordered by time, input and position in the input. Of an input in order it holds only the next
 * packet, whose bytes stay in the reader. Of an input out of order it holds as many packets as the input's share of the
 * window, without their bytes, which are read again when a packet's turn comes. After a packet is taken, its input adds
 * another before the next one is taken.
 */
#include "pcapng/merge_order.h"

#include <errno.h>
#include <string.h>

struct entry {
	struct packet_view packet; /* data: NULL if it must be read again */
	uint64_t data_at;
	uint64_t sequence; /* in the input */
	struct merge_input *input;
};

struct merge_order {
	struct merge_input *inputs;
	size_t count;
	uint64_t *added; /* packets of each input in this walk */
	size_t depth;	 /* packets held per input out of order; 0: no such input */

	struct entry *heap;
	size_t size, room;
	struct merge_input *taken_from; /* its packet was taken last */
	uint8_t *data;			/* of the packet taken last, if read again; NULL: never needed */

	uint64_t last_ns, late, late_in_last_walk; /* the last: of the last complete walk */
	int error_code;				   /* permanent */
	struct error error;
};

static bool is_before(const struct entry *a, const struct entry *b)
{
	if (a->packet.time_ns != b->packet.time_ns)
		return a->packet.time_ns < b->packet.time_ns;
	return a->input != b->input ? a->input < b->input : a->sequence < b->sequence;
}

static void push(struct merge_order *order, const struct entry *entry)
{
	size_t at = order->size++;

	for (size_t up; at > 0 && is_before(entry, &order->heap[up = (at - 1) / 2]); at = up)
		order->heap[at] = order->heap[up];
	order->heap[at] = *entry;
}

static struct entry pop(struct merge_order *order)
{
	const struct entry first = order->heap[0], last = order->heap[--order->size];
	size_t at = 0;

	for (size_t down; (down = 2 * at + 1) < order->size; at = down) {
		if (down + 1 < order->size && is_before(&order->heap[down + 1], &order->heap[down]))
			down++;
		if (!is_before(&order->heap[down], &last))
			break;
		order->heap[at] = order->heap[down];
	}
	order->heap[at] = last;
	return first;
}

static void fail(struct merge_order *order, const struct merge_input *input, int code, const char *text)
{
	order->error_code = error_set(&order->error, code, "%s: %s", input->label, text);
}

/* Finds the next packet of an input. 1; 0: the input has changed; or negative. */
static int find_packet(struct merge_input *input, struct pcapng_item *item, struct error *error)
{
	int r;

	do
		r = pcapng_reader_next(input->reader, item, error);
	while (r == 1 && item->kind != PCAPNG_PACKET);
	return r == 1 && item->interface >= input->interface_count ? 0 : r;
}

/* Adds the input's next packet to the heap, if it has one. */
static void add_next(struct merge_order *order, struct merge_input *input)
{
	struct pcapng_item item;
	struct error error;
	uint64_t *added = &order->added[input - order->inputs];

	if (order->error_code < 0 || *added == input->packets)
		return;
	int r = find_packet(input, &item, &error);
	if (r <= 0) {
		fail(order, input, r < 0 ? r : -EIO, r < 0 ? error.text : "the file has changed");
		return;
	}
	struct entry entry = {.packet = item.packet, .data_at = item.data_at, .sequence = (*added)++, .input = input};
	entry.packet.interface = (uint16_t)(input->first_interface + item.interface);
	if (!input->in_order)
		entry.packet.data = NULL;
	push(order, &entry);
}

static void rewind_order(void *ctx)
{
	struct merge_order *order = ctx;

	order->size = 0;
	order->taken_from = NULL;
	order->last_ns = order->late = 0;
	for (size_t i = 0; i < order->count; i++) {
		struct merge_input *input = &order->inputs[i];

		merge_input_rewind(input);
		order->added[i] = 0;
		const size_t held = input->in_order ? 1 : order->depth;
		for (size_t n = 0; n < held && order->added[i] < input->packets && order->error_code == 0; n++)
			add_next(order, input);
	}
}

static int read_data(struct merge_order *order, struct entry *entry)
{
	const uint32_t size = entry->packet.caplen;

	if (entry->packet.data)
		return 0;
	entry->packet.data = order->data;
	const ssize_t got = byte_range_read(&entry->input->range, entry->data_at, order->data, size);
	if (got != (ssize_t)size)
		fail(order, entry->input, got < 0 ? (int)got : -EIO, "the file has changed");
	return order->error_code;
}

static bool next_of_order(void *ctx, struct packet_view *packet)
{
	struct merge_order *order = ctx;

	if (order->taken_from)
		add_next(order, order->taken_from);
	order->taken_from = NULL;
	if (order->size == 0)
		order->late_in_last_walk = order->late;
	if (order->error_code < 0 || order->size == 0)
		return false;

	struct entry entry = pop(order);
	if (read_data(order, &entry) < 0)
		return false;
	order->taken_from = entry.input;
	if (entry.packet.time_ns < order->last_ns)
		order->late++;
	else
		order->last_ns = entry.packet.time_ns;
	*packet = entry.packet;
	return true;
}

/* Computes how much the heap must hold. */
static void choose_depths(struct merge_order *order, size_t window)
{
	size_t unordered = 0;

	for (size_t i = 0; i < order->count; i++)
		unordered += !order->inputs[i].in_order;
	if (unordered > 0)
		order->depth = window > unordered ? window / unordered : 1;
	for (size_t i = 0; i < order->count; i++) {
		const struct merge_input *input = &order->inputs[i];
		const size_t depth = input->in_order ? 1 : order->depth;

		order->room += input->packets < depth ? (size_t)input->packets : depth;
	}
}

struct merge_order *merge_order_new(struct merge_input *inputs, size_t count, size_t window)
{
	cleanup(cleanup_merge_order) struct merge_order *order = calloc(1, sizeof(*order));

	if (!order)
		return NULL;
	order->inputs = inputs;
	order->count = count;
	choose_depths(order, window);
	order->added = calloc(count + 1, sizeof(*order->added));
	order->heap = calloc(order->room + 1, sizeof(*order->heap));
	order->data = order->depth > 0 ? malloc(PCAPNG_PACKET_MAX) : NULL;
	if (!order->added || !order->heap || (order->depth > 0 && !order->data))
		return NULL;
	return take(order);
}

void merge_order_free(struct merge_order *order)
{
	if (!order)
		return;

	free(order->added);
	free(order->heap);
	free(order->data);
	free(order);
}

struct packet_source merge_order_source(struct merge_order *order)
{
	return (struct packet_source){.rewind = rewind_order, .next = next_of_order, .ctx = order};
}

uint64_t merge_order_late(const struct merge_order *order)
{
	return order->late_in_last_walk;
}

int merge_order_failed(const struct merge_order *order, struct error *error)
{
	return order->error_code < 0 ? error_set(error, order->error_code, "%s", order->error.text) : 0;
}
