/* SPDX-License-Identifier: BSD-2-Clause */
/* Blanks around a name, empty lines, and what follows a "#" are ignored. */
#include "pcapctl/fleet/fleet_expect.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "pcapctl/cli/input_file.h"
#include "pcapctl/fleet/fleet_bus.h"

#define BLANKS " \t\r"

static int add_line(json_t *names, const char *line, size_t size, struct error *err)
{
	json_t *name;

	size = strcspn(line, "#\n") < size ? strcspn(line, "#\n") : size;
	const size_t begin = strspn(line, BLANKS);
	while (size > begin && strchr(BLANKS, line[size - 1]))
		size--;
	if (size <= begin)
		return 0;
	if (json_array_size(names) == FLEET_NODES_MAX)
		return error_set(err, -E2BIG, "--expect: the file has more than %d names", FLEET_NODES_MAX);
	name = json_stringn(line + begin, size - begin);
	if (!name || json_array_append_new(names, name) < 0)
		return error_set(err, -EINVAL, "--expect: the file is not UTF-8");
	return 0;
}

int fleet_expect_read(const char *path, json_t **names, struct error *err)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(INPUT_FILE_MAX);
	int r = input_file_read(path, &text, err);

	if (r < 0) {
		error_prefix(err, "--expect");
		return r;
	}
	*names = json_array();
	if (!*names)
		return error_set(err, -ENOMEM, "out of memory");
	for (const char *line = buffer_text(&text); r == 0 && *line;) {
		const size_t size = strcspn(line, "\n");

		r = add_line(*names, line, size, err);
		line += size + (line[size] == '\n');
	}
	if (r == 0 && json_array_size(*names) == 0)
		r = error_set(err, -EINVAL, "--expect: %s names no node", path);
	return r;
}
