/* SPDX-License-Identifier: BSD-2-Clause */
/* A JSON object serves as the set of names printed so far. */
#include "pcapctl/output/names_print.h"

#include <errno.h>
#include <string.h>

#include "base/printable.h"
#include "pcapctl/output/format.h"

enum place { IN_OBJECT, IN_LIST, IN_LIST_OF_NAMED, IN_LISTS_OF_NAMED };

static const struct {
	const char *what;
	const char *field, *inner; /* inner: of the objects in the list */
	enum place place;
} kinds[] = {
	{"nodes", "node", NULL, IN_OBJECT},
	{"captures", "capture", NULL, IN_OBJECT},
	{"destinations", "destinations", NULL, IN_LIST},
	{"interfaces", "interfaces", "name", IN_LIST_OF_NAMED},
	{"aliases", "interfaces", "aliases", IN_LISTS_OF_NAMED},
};

#define KIND_COUNT (sizeof(kinds) / sizeof(*kinds))

static size_t find_kind(const char *what)
{
	size_t i = 0;

	while (i < KIND_COUNT && strcmp(kinds[i].what, what) != 0)
		i++;
	return i;
}

bool names_are_known(const char *what)
{
	return find_kind(what) < KIND_COUNT;
}

static int print_name(FILE *out, json_t *printed, const char *name)
{
	static const char allowed[] = PLAIN_CHARACTERS ":@+";

	if (!name || !*name || name[strspn(name, allowed)] || json_object_get(printed, name))
		return 0;
	fprintf(out, "%s\n", name);
	return json_object_set_new(printed, name, json_true()) < 0 ? -ENOMEM : 0;
}

static int print_list(FILE *out, json_t *printed, const json_t *list)
{
	size_t i;
	json_t *name;
	int r = 0;

	json_array_foreach(list, i, name)
	{
		if (r == 0)
			r = print_name(out, printed, json_string_value(name));
	}
	return r;
}

static int print_object(FILE *out, json_t *printed, size_t kind, const json_t *object)
{
	const json_t *field = json_object_get(object, kinds[kind].field);
	size_t i;
	json_t *item;
	int r = 0;

	if (kinds[kind].place == IN_OBJECT)
		return print_name(out, printed, json_string_value(field));
	if (kinds[kind].place == IN_LIST)
		return print_list(out, printed, field);
	json_array_foreach(field, i, item)
	{
		const json_t *inner = json_object_get(item, kinds[kind].inner);

		if (r == 0)
			r = kinds[kind].place == IN_LISTS_OF_NAMED ? print_list(out, printed, inner)
								   : print_name(out, printed, json_string_value(inner));
	}
	return r;
}

int names_print(FILE *out, const char *what, const json_t *objects)
{
	const size_t kind = find_kind(what);
	json_t *printed = json_object();
	int r = printed ? 0 : -ENOMEM;
	size_t i;
	json_t *object;

	json_array_foreach(objects, i, object)
	{
		if (r == 0 && kind < KIND_COUNT)
			r = print_object(out, printed, kind, object);
	}
	json_decref(printed);
	return r;
}
