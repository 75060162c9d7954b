/* SPDX-License-Identifier: BSD-2-Clause */
/* A copy for each request: interfaces come and go, and requests are rare enough for that. */
#include "job/interfaces.h"

#include <errno.h>
#include <string.h>

#include "base/link_table.h"
#include "base/suggest.h"

int interface_list_read(bool up_only, struct interface_list *list)
{
	cleanup(cleanup_free) struct link_entry *links = NULL;
	size_t count = 0;

	const int r = link_table_list(&links, &count);
	if (r < 0)
		return r;
	*list = (struct interface_list){.names = calloc(count + 1, sizeof(*list->names)),
					.indexes = calloc(count + 1, sizeof(*list->indexes))};
	if (!list->names || !list->indexes) {
		interface_list_deinit(list);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		if (up_only && !links[i].up)
			continue;
		list->indexes[list->count] = (unsigned)links[i].index;
		memcpy(list->names[list->count++], links[i].name, INTERFACE_NAME_SIZE);
	}
	return 0;
}

void interface_list_deinit(struct interface_list *list)
{
	free(list->names);
	free(list->indexes);
	*list = (struct interface_list){0};
}

const char *interface_list_suggest(const struct interface_list *list, const char *name)
{
	cleanup(cleanup_free) const char **names = calloc(list->count + 1, sizeof(*names));

	if (!names)
		return NULL;
	for (size_t i = 0; i < list->count; i++)
		names[i] = list->names[i];
	return suggest(name, names, list->count);
}
