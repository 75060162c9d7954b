/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd takes the first unit of that name in its path, and all drop-ins, sorted by name; of drop-ins with one name
 * the first. An empty assignment clears a list. SYSTEMD_UNIT_PATH replaces the path, as for systemd.
 */
#include "config/unit_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define UNIT_PATH                                                                                        \
	"/etc/systemd/system.control:/run/systemd/system.control:/run/systemd/transient:"                \
	"/etc/systemd/system:/run/systemd/system:/usr/local/lib/systemd/system:/usr/lib/systemd/system:" \
	"/lib/systemd/system"
#define FOLDERS_MAX 32
#define DROP_INS_MAX 64
#define LINE_SIZE 8192

struct folders {
	char items[FOLDERS_MAX][PATH_MAX];
	size_t count;
};

static void list_folders(struct folders *folders)
{
	const char *path = getenv("SYSTEMD_UNIT_PATH");

	folders->count = 0;
	for (const char *at = path && *path ? path : UNIT_PATH; *at && folders->count < FOLDERS_MAX;) {
		const size_t size = strcspn(at, ":");

		if (size && size < PATH_MAX)
			snprintf(folders->items[folders->count++], PATH_MAX, "%.*s", (int)size, at);
		at += size + (at[size] == ':');
	}
}

static void set_text(char *into, size_t room, const char *value)
{
	if (strlen(value) < room)
		memcpy(into, value, strlen(value) + 1);
}

/* "ID:PATH", or "ID" alone for one of the system's credential stores. */
static void add_credential(struct unit_file *unit, const char *value, bool has_path)
{
	const size_t id_size = strcspn(value, ":");
	struct unit_credential *credential = &unit->credentials[unit->credential_count];

	if (!*value)
		unit->credential_count = 0;
	if (!*value || unit->credential_count == UNIT_CREDENTIALS_MAX || id_size >= UNIT_NAME_SIZE)
		return;
	*credential = (struct unit_credential){0};
	snprintf(credential->id, sizeof(credential->id), "%.*s", (int)id_size, value);
	if (has_path && value[id_size] == ':' && value[id_size + 1] == '/')
		set_text(credential->path, sizeof(credential->path), value + id_size + 1);
	unit->credential_count++;
}

/* Adds the words of `value`, each after `base`. */
static void add_paths(char (*paths)[PATH_MAX], size_t *count, const char *base, const char *value)
{
	for (const char *at = value + strspn(value, " \t"); *at; at += strspn(at, " \t")) {
		const size_t size = strcspn(at, " \t"), skipped = strspn(at, "-+");

		if (*count < UNIT_PATHS_MAX && strlen(base) + size < PATH_MAX)
			snprintf(paths[(*count)++], PATH_MAX, "%s%.*s", base, (int)(size - skipped), at + skipped);
		at += size;
	}
}

static void read_assignment(struct unit_file *unit, const char *key, const char *value, const char *config_path)
{
	if (!strcmp(key, "User"))
		set_text(unit->user, sizeof(unit->user), value);
	else if (!strcmp(key, "ProtectSystem"))
		unit->read_only = !strcmp(value, "strict");
	else if (!strcmp(key, "LoadCredential"))
		add_credential(unit, value, true);
	else if (!strcmp(key, "LoadCredentialEncrypted") || !strcmp(key, "SetCredential") ||
		 !strcmp(key, "SetCredentialEncrypted"))
		add_credential(unit, value, false);
	else if (!strcmp(key, "StateDirectory"))
		add_paths(unit->made, &unit->made_count, "/var/lib/", value);
	else if (!strcmp(key, "RuntimeDirectory"))
		add_paths(unit->made, &unit->made_count, "/run/", value);
	else if (!strcmp(key, "ReadWritePaths"))
		add_paths(unit->writable, &unit->writable_count, "", value);
	else if (!strncmp(key, "ExecStart", 9) && *config_path)
		unit->runs_file |= strstr(value, config_path) != NULL;
}

/* A line that ends in a backslash goes on. False: the file cannot be read. */
static bool read_part(struct unit_file *unit, const char *path, const char *config_path)
{
	cleanup(cleanup_fclose) FILE *file = fopen(path, "re");
	char line[LINE_SIZE];
	size_t used = 0;
	bool service = false;

	if (!file)
		return false;
	while (fgets(line + used, (int)(sizeof(line) - used), file)) {
		used = strcspn(line, "\n");
		line[used] = '\0';
		if (used && line[used - 1] == '\\' && used + 2 < sizeof(line)) {
			line[used - 1] = ' ';
			continue;
		}
		while (used && strchr(" \t\r", line[used - 1]))
			line[--used] = '\0';
		used = 0;
		char *key = line + strspn(line, " \t"), *value = strchr(key, '=');
		if (*key == '[')
			service = !strcmp(key, "[Service]");
		if (!service || !value || strchr("#;[", *key))
			continue;
		char *end = value++;
		while (end > key && strchr(" \t", end[-1]))
			end--;
		*end = '\0';
		read_assignment(unit, key, value + strspn(value, " \t"), config_path);
	}
	return true;
}

struct drop_in {
	char name[NAME_MAX + 1];
	const char *folder;
};

static int compare_drop_ins(const void *a, const void *b)
{
	return strcmp(((const struct drop_in *)a)->name, ((const struct drop_in *)b)->name);
}

static bool is_known(const struct drop_in *drop_ins, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(drop_ins[i].name, name))
			return true;
	}
	return false;
}

static size_t list_drop_ins(const struct folders *folders, struct drop_in drop_ins[static DROP_INS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < folders->count; i++) {
		char path[PATH_MAX + sizeof(UNIT_NAME) + 4];

		snprintf(path, sizeof(path), "%s/%s.d", folders->items[i], UNIT_NAME);
		DIR *directory = opendir(path);
		for (const struct dirent *entry = directory ? readdir(directory) : NULL; entry;
		     entry = readdir(directory)) {
			const size_t size = strlen(entry->d_name);

			if (size < 6 || strcmp(entry->d_name + size - 5, ".conf") != 0 || count == DROP_INS_MAX ||
			    is_known(drop_ins, count, entry->d_name))
				continue;
			set_text(drop_ins[count].name, sizeof(drop_ins[count].name), entry->d_name);
			drop_ins[count++].folder = folders->items[i];
		}
		if (directory)
			closedir(directory);
	}
	qsort(drop_ins, count, sizeof(*drop_ins), compare_drop_ins);
	return count;
}

struct unit_file *unit_file_read(const char *config_path)
{
	cleanup(cleanup_free) struct unit_file *unit = calloc(1, sizeof(*unit));
	cleanup(cleanup_free) struct folders *folders = calloc(1, sizeof(*folders));
	cleanup(cleanup_free) struct drop_in *drop_ins = calloc(DROP_INS_MAX, sizeof(*drop_ins));
	char path[2 * PATH_MAX];

	if (!unit || !folders || !drop_ins)
		return NULL;
	list_folders(folders);
	for (size_t i = 0; i < folders->count && !*unit->path; i++) {
		snprintf(path, sizeof(path), "%s/%s", folders->items[i], UNIT_NAME);
		if (read_part(unit, path, config_path))
			set_text(unit->path, sizeof(unit->path), path);
	}
	if (!*unit->path)
		return NULL;
	const size_t count = list_drop_ins(folders, drop_ins);
	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s.d/%s", drop_ins[i].folder, UNIT_NAME, drop_ins[i].name);
		(void)read_part(unit, path, config_path);
	}
	return take(unit);
}

const struct unit_credential *unit_file_credential(const struct unit_file *unit, const char *section, const char *key)
{
	char id[UNIT_NAME_SIZE];

	snprintf(id, sizeof(id), "%s.%s", section, key);
	for (size_t i = 0; i < unit->credential_count; i++) {
		if (!strcmp(unit->credentials[i].id, id))
			return &unit->credentials[i];
	}
	return NULL;
}

/* Whether `path` is `directory` or below it. */
static bool is_below(const char *path, const char *directory)
{
	const size_t size = strlen(directory);

	return size && !strncmp(path, directory, size) && (!path[size] || path[size] == '/');
}

bool unit_file_makes(const struct unit_file *unit, const char *path)
{
	for (size_t i = 0; i < unit->made_count; i++) {
		if (!strcmp(unit->made[i], path))
			return true;
	}
	return false;
}

bool unit_file_may_write(const struct unit_file *unit, const char *path)
{
	bool may = !unit->read_only;

	for (size_t i = 0; i < unit->made_count; i++)
		may |= is_below(path, unit->made[i]);
	for (size_t i = 0; i < unit->writable_count; i++)
		may |= is_below(path, unit->writable[i]);
	return may;
}
