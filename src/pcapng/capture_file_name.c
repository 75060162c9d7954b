/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File names from untrusted parts. Every byte that is not in [A-Za-z0-9._-] becomes "_", and so does a part's leading
 * dot: no part can name another directory or a hidden file, or be empty.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "pcapng/file_format.h"

#define PART_BYTES_MAX 64

static_assert(3 * (PART_BYTES_MAX + 1) + CLOCK_TEXT_SIZE + sizeof(".pcapng") <= CAPTURE_FILE_NAME_SIZE,
	      "every name fits");

static bool is_safe(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

static const char *replace_unsafe(char part[static PART_BYTES_MAX + 1], const char *text)
{
	size_t size = strnlen(text, PART_BYTES_MAX);

	for (size_t i = 0; i < size; i++)
		part[i] = is_safe(text[i]) ? text[i] : '_';
	if (size == 0 || part[0] == '.')
		part[0] = '_';
	part[size == 0 ? 1 : size] = '\0';
	return part;
}

const char *capture_file_name(char name[static CAPTURE_FILE_NAME_SIZE], const char *node, const char *interface,
			      uint64_t time_ns, const char *id, enum capture_file_format format)
{
	char node_part[PART_BYTES_MAX + 1], interface_part[PART_BYTES_MAX + 1], id_part[PART_BYTES_MAX + 1];
	char time_text[CLOCK_TEXT_SIZE];

	snprintf(name, CAPTURE_FILE_NAME_SIZE, "%s-%s-%s-%s.%s", replace_unsafe(node_part, node),
		 replace_unsafe(interface_part, interface), clock_format_compact(time_ns, time_text),
		 replace_unsafe(id_part, id), file_format_of(format)->extension);
	return name;
}

const char *capture_file_name_prefix(char prefix[static CAPTURE_FILE_NAME_SIZE], const char *node)
{
	char node_part[PART_BYTES_MAX + 1];

	snprintf(prefix, CAPTURE_FILE_NAME_SIZE, "%s-", replace_unsafe(node_part, node));
	return prefix;
}
