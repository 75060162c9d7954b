/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mounts are looked for once, because a host may have thousands; the files are read each time. A file that does not
 * exist is no limit: the root cgroup has none, and a container may show none.
 */
#include "base/host_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/quantity.h"

#define FILE_BYTES_MAX 8192 /* of meminfo and memory.stat, what we look for is in the first 2 KiB */
#define LEVELS_MAX 64	    /* of a hierarchy */
#define RESERVE_MIN (256 * (uint64_t)MIB)
#define KIB 1024

enum version { CGROUP_V2, CGROUP_V1, CGROUP_VERSIONS };

/* Names of the files and of a key in `stat`. */
static const struct {
	const char *filesystem, *limit, *usage, *inactive_file;
} versions[CGROUP_VERSIONS] = {
	[CGROUP_V2] = {"cgroup2", "memory.max", "memory.current", "inactive_file"},
	[CGROUP_V1] = {"cgroup", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
};

struct cgroup {
	char directory[PATH_MAX]; /* the process's own; "": none */
	size_t mount_length;	  /* this many bytes of it are where the hierarchy is mounted */
};

struct host_memory_files {
	char root[PATH_MAX];
	struct cgroup cgroups[CGROUP_VERSIONS];
};

/* --- files --- */

static int read_file(const char *directory, const char *name, char text[static FILE_BYTES_MAX])
{
	char path[2 * PATH_MAX];
	size_t size = 0;
	ssize_t got = 0;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	cleanup(cleanup_close) const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		got = read(fd, text + size, FILE_BYTES_MAX - 1 - size);
		size += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	text[size] = '\0';
	return got < 0 ? -errno : 0;
}

/* Whether a file cannot be read only now, or here. */
static bool is_scarcity(int code)
{
	return code == -EMFILE || code == -ENFILE || code == -ENOMEM;
}

static bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	const unsigned long long value = strtoull(text, &end, 10);
	if (end == text || errno != 0)
		return false;
	*number = value;
	return true;
}

/* The number in the line that begins with this word. */
static bool find_number(const char *text, const char *word, uint64_t *number)
{
	const size_t length = strlen(word);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, word, length) == 0 && strchr(": \t", line[length]) && line[length])
			return parse_number(line + length + 1, number);
	}
	return false;
}

/* --- the cgroups of this process --- */

/* Whether a list with commas has this word. */
static bool has_word(const char *list, const char *word)
{
	const size_t length = strlen(word);

	for (;; list++) {
		if (strncmp(list, word, length) == 0 && (list[length] == ',' || !list[length]))
			return true;
		list = strchr(list, ',');
		if (!list)
			return false;
	}
}

static FILE *open_lines(const struct host_memory_files *files, const char *name)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/proc/self/%s", files->root, name);
	return fopen(path, "re");
}

/* /proc/self/cgroup has lines of ID:CONTROLLERS:PATH; v2 is number 0. False: the process is in none. */
static bool find_path(const struct host_memory_files *files, enum version version, char path[static PATH_MAX])
{
	cleanup(cleanup_fclose) FILE *lines = open_lines(files, "cgroup");
	cleanup(cleanup_free) char *line = NULL;
	bool found = false;

	for (size_t room = 0; lines && !found && getline(&line, &room, lines) > 0;) {
		char *rest = line;
		const char *id = strsep(&rest, ":"), *controllers = strsep(&rest, ":");

		found = rest && (version == CGROUP_V2 ? strcmp(id, "0") == 0 : has_word(controllers, "memory"));
		if (found)
			snprintf(path, PATH_MAX, "%.*s", (int)strcspn(rest, "\n"), rest);
	}
	return found;
}

/* mountinfo writes blanks and the like as "\040". */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* Where the process's cgroup is below a mount whose root is this cgroup. */
static const char *below(const char *path, const char *mount_root)
{
	const size_t length = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
	const char *rest = path + length;

	/* Outside: the mount shows cgroups of others, or another namespace's. Its own limit holds at least. */
	if (strncmp(path, mount_root, length) != 0 || (*rest && *rest != '/') || strcmp(rest, "/") == 0)
		return "";
	return rest;
}

/* Takes a line of mountinfo (proc_pid_mountinfo(5)) if it is the mount of this hierarchy. */
static bool take_mount(const struct host_memory_files *files, enum version version, char *line, struct cgroup *cgroup)
{
	enum { MOUNT_ROOT = 3, MOUNT_POINT = 4, FIELDS = 5 };
	char path[PATH_MAX], *rest = line, *fields[FIELDS] = {NULL}, *field;

	for (size_t i = 0; i < FIELDS; i++)
		fields[i] = strsep(&rest, " ");
	do
		field = strsep(&rest, " ");
	while (field && strcmp(field, "-") != 0);
	const char *filesystem = strsep(&rest, " ");
	strsep(&rest, " ");
	if (!rest || strcmp(filesystem, versions[version].filesystem) != 0)
		return false;
	rest[strcspn(rest, "\n")] = '\0';
	if ((version == CGROUP_V1 && !has_word(rest, "memory")) || !find_path(files, version, path))
		return false;
	unescape(fields[MOUNT_ROOT]);
	unescape(fields[MOUNT_POINT]);
	const int length = snprintf(cgroup->directory, PATH_MAX, "%s%s", files->root, fields[MOUNT_POINT]);
	const int end = snprintf(cgroup->directory + length, length < PATH_MAX ? (size_t)(PATH_MAX - length) : 0, "%s",
				 below(path, fields[MOUNT_ROOT]));
	if (length + end >= PATH_MAX)
		cgroup->directory[0] = '\0';
	cgroup->mount_length = (size_t)length;
	return true;
}

static void find_cgroup(struct host_memory_files *files, enum version version)
{
	cleanup(cleanup_fclose) FILE *lines = open_lines(files, "mountinfo");
	cleanup(cleanup_free) char *line = NULL;
	bool found = false;

	for (size_t room = 0; lines && !found && getline(&line, &room, lines) > 0;)
		found = take_mount(files, version, line, &files->cgroups[version]);
}

struct host_memory_files *host_memory_files_new(const char *root)
{
	struct host_memory_files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	snprintf(files->root, sizeof(files->root), "%s", root);
	for (enum version version = 0; version < CGROUP_VERSIONS; version++)
		find_cgroup(files, version);
	return files;
}

void host_memory_files_free(struct host_memory_files *files)
{
	free(files);
}

/* --- reading --- */

static int read_host(const struct host_memory_files *files, struct host_memory *memory)
{
	char text[FILE_BYTES_MAX], directory[PATH_MAX + 8];
	struct sysinfo info;

	snprintf(directory, sizeof(directory), "%s/proc", files->root);
	const int r = read_file(directory, "meminfo", text);
	if (is_scarcity(r))
		return r;
	if (r == 0 && find_number(text, "MemTotal", &memory->total_bytes) &&
	    find_number(text, "MemAvailable", &memory->available_bytes)) {
		memory->total_bytes *= KIB;
		memory->available_bytes *= KIB;
		return 0;
	}
	/* A hidden /proc (systemd's ProcSubset=pid). This does not count the page cache. */
	if (sysinfo(&info) < 0)
		return -errno;
	memory->total_bytes = (uint64_t)info.totalram * info.mem_unit;
	memory->available_bytes = ((uint64_t)info.freeram + info.bufferram) * info.mem_unit;
	return 0;
}

/* The limit of one cgroup. */
static int read_level(const char *directory, enum version version, struct host_memory *memory)
{
	char text[FILE_BYTES_MAX];
	uint64_t limit_bytes = 0, used_bytes = 0, cache_bytes = 0;
	int r = read_file(directory, versions[version].limit, text);

	if (r < 0 || !parse_number(text, &limit_bytes)) /* none, or "max" */
		return is_scarcity(r) ? r : 0;
	r = read_file(directory, versions[version].usage, text);
	if (r < 0 || !parse_number(text, &used_bytes))
		return is_scarcity(r) ? r : 0;
	r = read_file(directory, "memory.stat", text);
	if (is_scarcity(r))
		return r;
	if (r == 0 && find_number(text, versions[version].inactive_file, &cache_bytes))
		used_bytes -= cache_bytes < used_bytes ? cache_bytes : used_bytes;
	const uint64_t left_bytes = used_bytes < limit_bytes ? limit_bytes - used_bytes : 0;
	if (limit_bytes < memory->cgroup_limit_bytes)
		memory->cgroup_limit_bytes = limit_bytes;
	if (left_bytes < memory->cgroup_left_bytes)
		memory->cgroup_left_bytes = left_bytes;
	return 0;
}

static int read_cgroup(const struct cgroup *cgroup, enum version version, struct host_memory *memory)
{
	char directory[PATH_MAX];
	int r = 0;

	memcpy(directory, cgroup->directory, sizeof(directory));
	for (unsigned level = 0; r == 0 && *directory && level < LEVELS_MAX; level++) {
		r = read_level(directory, version, memory);
		if (strlen(directory) <= cgroup->mount_length)
			break;
		*strrchr(directory, '/') = '\0';
	}
	return r;
}

int host_memory_read(const struct host_memory_files *files, struct host_memory *memory)
{
	struct host_memory found = {.cgroup_limit_bytes = HOST_MEMORY_UNLIMITED,
				    .cgroup_left_bytes = HOST_MEMORY_UNLIMITED};
	int r = read_host(files, &found);

	for (enum version version = 0; r == 0 && version < CGROUP_VERSIONS; version++)
		r = read_cgroup(&files->cgroups[version], version, &found);
	if (r == 0)
		*memory = found;
	return r;
}

uint64_t host_memory_reserve(const struct host_memory *memory, uint64_t configured)
{
	const uint64_t tenth = memory->total_bytes / 10;

	return configured ? configured : tenth > RESERVE_MIN ? tenth : RESERVE_MIN;
}
