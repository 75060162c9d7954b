/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole block → an item. The block's bytes stay in place: numbers are read from them, and texts are moved one byte
 * back, over the size before them, which makes room for their NUL. A table per block type lists the options that are
 * read and where they go; others are ignored.
 */
#include <errno.h>

#include "pcapng/pcapng_reader_internal.h"
#include "pcapng/timestamp.h"

/* The options' values as read, of any block type. */
struct options {
	const char *hardware, *os, *application;
	const char *name, *description, *filter;
	uint64_t tsresol, tsoffset;
	uint64_t flags, dropcount;
	uint64_t start, end, received, dropped;
};

enum option_kind { KIND_TEXT, KIND_FILTER, KIND_NUMBER, KIND_WORDS };

struct option_rule {
	uint16_t code;
	uint8_t kind;
	uint8_t size; /* numbers */
	size_t field; /* offset in struct options */
};

struct rules {
	const struct option_rule *rule;
	size_t count;
};

#define RULE(code, kind, size, field)                             \
	{                                                         \
		code, kind, size, offsetof(struct options, field) \
	}
#define RULES(array) ((struct rules){array, sizeof(array) / sizeof(*(array))})

static const struct option_rule section_rules[] = {
	RULE(SECTION_HARDWARE, KIND_TEXT, 0, hardware),
	RULE(SECTION_OS, KIND_TEXT, 0, os),
	RULE(SECTION_APPLICATION, KIND_TEXT, 0, application),
};

static const struct option_rule interface_rules[] = {
	RULE(INTERFACE_NAME, KIND_TEXT, 0, name),
	RULE(INTERFACE_DESCRIPTION, KIND_TEXT, 0, description),
	RULE(INTERFACE_TSRESOL, KIND_NUMBER, 1, tsresol),
	RULE(INTERFACE_FILTER, KIND_FILTER, 0, filter),
	RULE(INTERFACE_OS, KIND_TEXT, 0, os),
	RULE(INTERFACE_TSOFFSET, KIND_NUMBER, 8, tsoffset),
};

static const struct option_rule packet_rules[] = {
	RULE(PACKET_FLAGS, KIND_NUMBER, 4, flags),
	RULE(PACKET_DROPCOUNT, KIND_NUMBER, 8, dropcount),
};

static const struct option_rule statistics_rules[] = {
	RULE(STATISTICS_START, KIND_WORDS, 8, start),
	RULE(STATISTICS_END, KIND_WORDS, 8, end),
	RULE(STATISTICS_RECEIVED, KIND_NUMBER, 8, received),
	RULE(STATISTICS_DROPPED, KIND_NUMBER, 8, dropped),
};

/* The part of a block that has not been looked at yet. */
struct rest {
	uint8_t *at;
	size_t size;
};

static size_t padded(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

static int malformed(struct pcapng_reader *reader, const char *what)
{
	return error_set(&reader->error, -EBADMSG, "%s", what);
}

/* A fixed part of a block, or NULL: the block is too short. */
static const uint8_t *take_bytes(struct rest *rest, size_t size)
{
	const uint8_t *at = rest->at;

	if (rest->size < size)
		return NULL;
	rest->at += size;
	rest->size -= size;
	return at;
}

/* Overwrites the byte before it, which is no longer needed. */
static const char *as_text(uint8_t *value, size_t size)
{
	char *text = (char *)value - 1;

	memmove(text, value, size);
	text[size] = '\0';
	return text;
}

static int add_comment(struct pcapng_reader *reader, const char *text)
{
	int r = reader_grow(&reader->comments, &reader->comment_room, reader->comment_count, PCAPNG_COMMENTS_MAX,
			    sizeof(*reader->comments));

	if (r == -EMSGSIZE)
		return error_set(&reader->error, r, "more than %d comments", PCAPNG_COMMENTS_MAX);
	if (r < 0)
		return error_set(&reader->error, r, "no memory for a comment");
	reader->comments[reader->comment_count++] = text;
	return 0;
}

static uint64_t number(const struct pcapng_reader *reader, const struct option_rule *rule, const uint8_t *value)
{
	if (rule->kind == KIND_WORDS)
		return reader_words(reader, value);
	return rule->size == 1 ? *value : rule->size == 4 ? reader_u32(reader, value) : reader_u64(reader, value);
}

static int take_option(struct pcapng_reader *reader, const struct option_rule *rule, struct rest value,
		       struct options *options)
{
	void *field = (uint8_t *)options + rule->field;

	if (rule->kind == KIND_TEXT) {
		*(const char **)field = as_text(value.at, value.size);
	} else if (rule->kind == KIND_FILTER) {
		if (value.size == 0)
			return malformed(reader, "filter without a type");
		if (*value.at == FILTER_IS_TEXT)
			*(const char **)field = as_text(value.at + 1, value.size - 1);
	} else {
		if (value.size != rule->size)
			return error_set(&reader->error, -EBADMSG, "option %u of %zu bytes", rule->code, value.size);
		*(uint64_t *)field = number(reader, rule, value.at);
	}
	return 0;
}

static int apply_rule(struct pcapng_reader *reader, struct rules rules, uint16_t code, struct rest value,
		      struct options *options, uint32_t *seen)
{
	for (size_t i = 0; i < rules.count; i++) {
		if (rules.rule[i].code != code)
			continue;
		if (*seen & 1u << i)
			return error_set(&reader->error, -EBADMSG, "option %u twice", code);
		*seen |= 1u << i;
		return take_option(reader, &rules.rule[i], value, options);
	}
	return 0;
}

/* Reads the rest of the block. OPTION_END is optional, but nothing may follow it. */
static int read_options(struct pcapng_reader *reader, struct rest rest, struct rules rules, struct options *options)
{
	uint32_t seen = 0;
	int r = 0;

	while (r == 0 && rest.size > 0) {
		if (rest.size < sizeof(struct option_header))
			return malformed(reader, "incomplete option");
		const uint16_t code = reader_u16(reader, rest.at), size = reader_u16(reader, rest.at + 2);
		take_bytes(&rest, sizeof(struct option_header));
		const struct rest value = {rest.at, size};
		if (!take_bytes(&rest, padded(size)))
			return malformed(reader, "option longer than its block");
		if (code == OPTION_END)
			return size == 0 && rest.size == 0 ? 0 : malformed(reader, "malformed end of options");
		if (code == OPTION_COMMENT)
			r = add_comment(reader, as_text(value.at, value.size));
		else
			r = apply_rule(reader, rules, code, value, options, &seen);
	}
	return r;
}

/* Finds an interface of this section. */
static int find_interface(struct pcapng_reader *reader, uint32_t id, struct pcapng_item *item)
{
	if (id >= reader->interface_count - reader->section_first)
		return error_set(&reader->error, -EBADMSG, "interface %u has no description block", id);
	item->interface = (uint16_t)(reader->section_first + id);
	return 0;
}

static int read_section(struct pcapng_reader *reader, struct rest rest, struct pcapng_item *item)
{
	struct options options = {0};
	const uint8_t *body = take_bytes(&rest, sizeof(struct section_body));

	if (!body)
		return malformed(reader, "section header too short");
	const unsigned major = reader_u16(reader, body + offsetof(struct section_body, major));
	const unsigned minor = reader_u16(reader, body + offsetof(struct section_body, minor));
	if (major != 1 || (minor != 0 && minor != 2))
		return error_set(&reader->error, -EBADMSG, "pcapng of version %u.%u", major, minor);
	reader->section_left_bytes = reader_u64(reader, body + offsetof(struct section_body, size));
	reader->section_first = reader->interface_count;
	int r = read_options(reader, rest, RULES(section_rules), &options);
	item->kind = PCAPNG_SECTION;
	item->section = (struct pcapng_section){options.hardware, options.os, options.application};
	return r;
}

static int read_interface(struct pcapng_reader *reader, struct rest rest, struct pcapng_item *item)
{
	struct options options = {.tsresol = TSRESOL_US};
	const uint8_t *body = take_bytes(&rest, sizeof(struct interface_body));

	if (!body)
		return malformed(reader, "interface description too short");
	const uint16_t linktype = reader_u16(reader, body);
	const uint32_t snaplen = reader_u32(reader, body + offsetof(struct interface_body, snaplen));
	int r = read_options(reader, rest, RULES(interface_rules), &options);
	if (r < 0)
		return r;
	const struct known_interface known = {snaplen, (uint8_t)options.tsresol, (int64_t)options.tsoffset};
	if (!timestamp_resolution_known(known.tsresol))
		return error_set(&reader->error, -EBADMSG, "time resolution 0x%02x", known.tsresol);
	item->kind = PCAPNG_INTERFACE;
	item->description = (struct packet_interface){
		.name = options.name,
		.description = options.description,
		.filter = options.filter,
		.os = options.os,
		.linktype = linktype,
		.snaplen = snaplen,
		.received = PACKET_UNKNOWN,
		.dropped = PACKET_UNKNOWN,
		.start_ns = PACKET_UNKNOWN,
		.end_ns = PACKET_UNKNOWN,
	};
	return reader_add_interface(reader, &known, item);
}

/* A packet's bytes, padding and options: the rest of the block. */
static int read_packet_data(struct pcapng_reader *reader, struct rest rest, struct pcapng_item *item)
{
	struct options options = {0};

	if (item->packet.caplen > PCAPNG_PACKET_MAX)
		return error_set(&reader->error, -EMSGSIZE, "packet of %u bytes", item->packet.caplen);
	item->packet.data = take_bytes(&rest, padded(item->packet.caplen));
	if (!item->packet.data)
		return malformed(reader, "packet longer than its block");
	item->kind = PCAPNG_PACKET;
	item->data_at = reader->at + (uint64_t)(item->packet.data - reader->block);
	item->packet.interface = item->interface;
	int r = read_options(reader, rest, RULES(packet_rules), &options);
	const uint32_t direction = options.flags & FLAGS_DIRECTION;
	item->packet.direction = direction <= PACKET_DIR_OUTBOUND ? (uint8_t)direction : PACKET_DIR_UNKNOWN;
	item->packet.flags = (uint32_t)options.flags & ~(uint32_t)FLAGS_DIRECTION;
	item->packet.missing = options.dropcount;
	return r;
}

/* Enhanced and obsolete packet blocks differ in the size of the interface number. */
static int read_packet(struct pcapng_reader *reader, struct rest rest, bool old, struct pcapng_item *item)
{
	const uint8_t *body = take_bytes(&rest, sizeof(struct packet_block) - sizeof(struct block_header));

	if (!body)
		return malformed(reader, "packet block too short");
	int r = find_interface(reader, old ? reader_u16(reader, body) : reader_u32(reader, body), item);
	if (r < 0)
		return r;
	const struct known_interface *known = &reader->interfaces[item->interface];
	uint64_t time_ns;
	if (timestamp_to_ns(reader_words(reader, body + 4), known->tsresol, known->tsoffset_s, &time_ns) < 0)
		return malformed(reader, "packet before 1970 or after 2554");
	item->packet = (struct packet_view){.time_ns = time_ns,
					    .caplen = reader_u32(reader, body + 12),
					    .wirelen = reader_u32(reader, body + 16)};
	return read_packet_data(reader, rest, item);
}

/* Belongs to the section's first interface, has no time and no options; the captured length follows from the
 * interface's snap length. */
static int read_simple_packet(struct pcapng_reader *reader, struct rest rest, struct pcapng_item *item)
{
	const uint8_t *body = take_bytes(&rest, sizeof(uint32_t));

	if (!body)
		return malformed(reader, "packet block too short");
	int r = find_interface(reader, 0, item);
	if (r < 0)
		return r;
	const uint32_t snaplen = reader->interfaces[item->interface].snaplen, wirelen = reader_u32(reader, body);
	const uint32_t caplen = snaplen > 0 && snaplen < wirelen ? snaplen : wirelen;
	if (rest.size != padded(caplen))
		return malformed(reader, "simple packet does not fit its block");
	item->packet = (struct packet_view){.time_ns = reader->last_time_ns, .caplen = caplen, .wirelen = wirelen};
	return read_packet_data(reader, rest, item);
}

/* Here an invalid time does no harm. */
static uint64_t time_or_unknown(const struct known_interface *known, uint64_t ticks)
{
	uint64_t time_ns;

	if (ticks == PACKET_UNKNOWN || timestamp_to_ns(ticks, known->tsresol, known->tsoffset_s, &time_ns) < 0)
		return PACKET_UNKNOWN;
	return time_ns;
}

static int read_statistics(struct pcapng_reader *reader, struct rest rest, struct pcapng_item *item)
{
	struct options options = {.start = PACKET_UNKNOWN,
				  .end = PACKET_UNKNOWN,
				  .received = PACKET_UNKNOWN,
				  .dropped = PACKET_UNKNOWN};
	const uint8_t *body = take_bytes(&rest, sizeof(struct statistics_body));

	if (!body)
		return malformed(reader, "statistics too short");
	int r = find_interface(reader, reader_u32(reader, body), item);
	if (r == 0)
		r = read_options(reader, rest, RULES(statistics_rules), &options);
	if (r < 0)
		return r;
	const struct known_interface *known = &reader->interfaces[item->interface];
	item->kind = PCAPNG_STATISTICS;
	item->statistics = (struct pcapng_statistics){
		.time_ns = time_or_unknown(known, reader_words(reader, body + 4)),
		.start_ns = time_or_unknown(known, options.start),
		.end_ns = time_or_unknown(known, options.end),
		.received = options.received,
		.dropped = options.dropped,
	};
	return 0;
}

uint32_t pcapng_block_max(uint32_t type)
{
	switch (type) {
	case BLOCK_SECTION:
	case BLOCK_INTERFACE:
	case BLOCK_STATISTICS:
		return PCAPNG_BLOCK_MAX;
	case BLOCK_PACKET:
	case BLOCK_PACKET_OLD:
	case BLOCK_PACKET_SIMPLE:
		return PCAPNG_PACKET_BLOCK_MAX;
	default:
		return 0;
	}
}

static int read_body(struct pcapng_reader *reader, uint32_t type, struct rest rest, struct pcapng_item *item)
{
	switch (type) {
	case BLOCK_SECTION:
		return read_section(reader, rest, item);
	case BLOCK_INTERFACE:
		return read_interface(reader, rest, item);
	case BLOCK_PACKET_SIMPLE:
		return read_simple_packet(reader, rest, item);
	case BLOCK_STATISTICS:
		return read_statistics(reader, rest, item);
	default:
		return read_packet(reader, rest, type == BLOCK_PACKET_OLD, item);
	}
}

int pcapng_block_read(struct pcapng_reader *reader, uint32_t type, uint32_t size, struct pcapng_item *item)
{
	const size_t around = sizeof(struct block_header) + sizeof(uint32_t);
	const struct rest rest = {reader->block + sizeof(struct block_header), size - around};

	reader->comment_count = 0;
	int r = read_body(reader, type, rest, item);
	item->comments = reader->comments;
	item->comment_count = reader->comment_count;
	return r;
}
