/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One walk over an input: interfaces and section comments get the node's name as a prefix, each interface keeps its
 * last statistics, packets are counted and checked for their order.
 */
#include "pcapng/merge_scan.h"

#include <errno.h>
#include <stdarg.h>

#include "base/buffer.h"
#include "pcapng/pcapng_merge.h"
#include "pcapng/pcapng_reader_internal.h"

#define TEXT_COST 64 /* charged per text in addition to its bytes */
#define DESCRIPTION_MAX 65535

/* Of texts and of comments: far more than the shares allow. */
#define ELEMENTS_MAX (PCAPNG_MERGE_TEXT_MAX / TEXT_COST + PCAPNG_MERGE_INPUTS_MAX)

struct scan {
	struct merge_description *description;
	struct merge_input *input;
	size_t text_left;
	const char *os; /* the section's */
	uint64_t last_ns;
};

static int adopt_text(struct merge_description *description, char *text)
{
	int r = reader_grow(&description->texts, &description->text_room, description->text_count, ELEMENTS_MAX,
			    sizeof(*description->texts));

	if (r < 0)
		free(text);
	else
		description->texts[description->text_count++] = text;
	return r;
}

static int add_text(struct scan *scan, const char **kept, const char *format, ...) printf_like(3, 4);

/* 0 or -ENOMEM; `*kept` is NULL if the text does not fit. */
static int add_text(struct scan *scan, const char **kept, const char *format, ...)
{
	va_list arguments;

	*kept = NULL;
	va_start(arguments, format);
	const int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return -ENOMEM;
	const size_t size = (size_t)length + 1;
	if (size + TEXT_COST > scan->text_left) {
		scan->input->texts_omitted++;
		return 0;
	}
	char *text = malloc(size);
	if (!text)
		return -ENOMEM;
	va_start(arguments, format);
	vsnprintf(text, size, format, arguments);
	va_end(arguments);
	scan->text_left -= size + TEXT_COST;
	int r = adopt_text(scan->description, text);
	if (r == 0)
		*kept = text;
	return r;
}

static int add_comment(struct merge_description *description, const char *text)
{
	int r = reader_grow(&description->comments, &description->comment_room, description->comment_count,
			    ELEMENTS_MAX, sizeof(*description->comments));

	if (r == 0)
		description->comments[description->comment_count++] = text;
	return r;
}

static int add_input_comment(struct scan *scan, const char *text)
{
	const char *kept;
	int r = add_text(scan, &kept, "%s: %s", scan->input->label, text);

	return r == 0 && kept ? add_comment(scan->description, kept) : r;
}

static int add_maker_comment(struct scan *scan, const struct pcapng_section *section)
{
	const char *parts[] = {section->application, section->os, section->hardware}, *kept;
	char text[512] = "";
	size_t size = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (parts[i] && *parts[i] && size < sizeof(text))
			size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s", size ? ", " : "", parts[i]);
	if (size == 0)
		return 0;
	int r = add_text(scan, &kept, "%s: made by: %s", scan->input->label, text);
	return r == 0 && kept ? add_comment(scan->description, kept) : r;
}

static int scan_section(struct scan *scan, const struct pcapng_item *item)
{
	int r = 0;

	scan->os = NULL;
	if (item->section.os)
		r = add_text(scan, &scan->os, "%s", item->section.os);
	if (r == 0)
		r = add_maker_comment(scan, &item->section);
	for (size_t i = 0; r == 0 && i < item->comment_count; i++)
		if (*item->comments[i])
			r = add_input_comment(scan, item->comments[i]);
	return r;
}

static int add_interface_texts(struct scan *scan, const struct pcapng_item *item, struct packet_interface *interface)
{
	const struct packet_interface *from = &item->description;
	const char *label = scan->input->label, *name = from->name;
	char number[16];

	if (!name || !*name) {
		snprintf(number, sizeof(number), "%u", item->interface);
		name = number;
	}
	int r = add_text(scan, &interface->name, "%s:%s", label, name);
	if (r == 0 && from->description && *from->description)
		r = add_text(scan, &interface->description, "interface %s of node %s: %s", name, label,
			     from->description);
	else if (r == 0)
		r = add_text(scan, &interface->description, "interface %s of node %s", name, label);
	if (r == 0 && from->filter)
		r = add_text(scan, &interface->filter, "%s", from->filter);
	interface->os = scan->os;
	if (r == 0 && from->os)
		r = add_text(scan, &interface->os, "%s", from->os);
	return r;
}

static int scan_interface(struct scan *scan, const struct pcapng_item *item)
{
	struct merge_description *description = scan->description;
	struct packet_interface interface = item->description;

	interface.name = interface.description = interface.filter = interface.os = NULL;
	int r = reader_grow(&description->interfaces, &description->interface_room, description->interface_count,
			    PCAPNG_MERGE_INTERFACES_MAX, sizeof(*description->interfaces));
	if (r == -EMSGSIZE)
		return error_set(&scan->input->error, r, "more than %d interfaces in all", PCAPNG_MERGE_INTERFACES_MAX);
	if (r == 0)
		r = add_interface_texts(scan, item, &interface);
	if (r < 0)
		return r;
	scan->input->texts_omitted += item->comment_count;
	scan->input->interface_count++;
	description->interfaces[description->interface_count++] = interface;
	return 0;
}

static int scan_statistics(struct scan *scan, const struct pcapng_item *item)
{
	struct packet_interface *interface =
		&scan->description->interfaces[scan->input->first_interface + item->interface];
	const struct pcapng_statistics *statistics = &item->statistics;

	interface->received = statistics->received;
	interface->dropped = statistics->dropped;
	interface->start_ns = statistics->start_ns;
	interface->end_ns = statistics->end_ns != PACKET_UNKNOWN ? statistics->end_ns : statistics->time_ns;
	interface->comment = NULL; /* that of an earlier block is out of date */
	if (!item->comment_count)
		return 0;
	scan->input->texts_omitted += item->comment_count - 1;
	return add_text(scan, &interface->comment, "%s", item->comments[0]);
}

static void scan_packet(struct scan *scan, const struct pcapng_item *item)
{
	if (item->packet.time_ns < scan->last_ns)
		scan->input->in_order = false;
	scan->last_ns = item->packet.time_ns;
	scan->input->packets++;
	scan->input->texts_omitted += item->comment_count;
}

static int scan_item(struct scan *scan, const struct pcapng_item *item)
{
	switch (item->kind) {
	case PCAPNG_SECTION:
		return scan_section(scan, item);
	case PCAPNG_INTERFACE:
		return scan_interface(scan, item);
	case PCAPNG_PACKET:
		scan_packet(scan, item);
		break;
	case PCAPNG_STATISTICS:
		return scan_statistics(scan, item);
	}
	return 0;
}

int merge_scan(struct merge_description *description, struct merge_input *input, size_t text_share)
{
	struct scan scan = {.description = description, .input = input, .text_left = text_share};
	struct pcapng_item item;
	int r = description->comment_count == 0 ? add_comment(description, NULL) : 0;

	if (r < 0)
		return r;
	input->first_interface = description->interface_count;
	do
		r = pcapng_reader_next(input->reader, &item, &input->error);
	while (r == 1 && (r = scan_item(&scan, &item)) == 0);
	input->error_code = r;
	return r == -ENOMEM ? r : 0;
}

static int describe_input(struct buffer *text, const struct merge_input *input, const char *separator)
{
	int r = buffer_printf(text, "%s%s (%zu interface%s, %llu packet%s", separator, input->label,
			      input->interface_count, input->interface_count == 1 ? "" : "s",
			      (unsigned long long)input->packets, input->packets == 1 ? "" : "s");

	if (r == 0 && input->texts_omitted > 0)
		r = buffer_printf(text, ", texts omitted: %llu", (unsigned long long)input->texts_omitted);
	if (r == 0 && input->error_code < 0)
		r = buffer_printf(text, ", incomplete: %s", input->error.text);
	return r == 0 ? buffer_append_string(text, ")") : r;
}

int merge_describe(struct merge_description *description, const struct merge_input *inputs, size_t count,
		   const char *missing)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(DESCRIPTION_MAX);
	int r = missing ? buffer_printf(&text, "missing: %s; ", missing) : 0;

	if (r == 0)
		r = buffer_append_string(&text, count > 0 ? "merged: " : "merged: nothing");

	for (size_t i = 0; r == 0 && i < count; i++)
		r = describe_input(&text, &inputs[i], i == 0 ? "" : ", ");
	/* A text that is too long is cut: the inputs' own comments name them, too. */
	if (r == -ENOMEM || (description->comment_count == 0 && add_comment(description, NULL) < 0))
		return -ENOMEM;
	description->comments[0] = text.data;
	return adopt_text(description, take(text.data));
}

void merge_description_deinit(struct merge_description *description)
{
	for (size_t i = 0; i < description->text_count; i++)
		free(description->texts[i]);
	free(take(description->texts));
	free(take(description->comments));
	free(take(description->interfaces));
}
