/* SPDX-License-Identifier: BSD-2-Clause */
/* Read anew each time: interfaces come and go, and requests are rare enough for that. */
#include "job/interfaces.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/suggest.h"

static bool is_up(int fd, const char *name)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP);
}

int interface_list_read(bool up_only, struct interface_list *list)
{
	cleanup(cleanup_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	struct if_nameindex *found = if_nameindex();
	if (!found)
		return -errno;
	size_t count = 0;
	while (found[count].if_index)
		count++;
	*list = (struct interface_list){.names = calloc(count + 1, sizeof(*list->names)),
					.indexes = calloc(count + 1, sizeof(*list->indexes))};
	int r = list->names && list->indexes ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (up_only && !is_up(fd, found[i].if_name))
			continue;
		list->indexes[list->count] = found[i].if_index;
		snprintf(list->names[list->count++], INTERFACE_NAME_SIZE, "%s", found[i].if_name);
	}
	if_freenameindex(found);
	if (r < 0)
		interface_list_deinit(list);
	return r;
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
