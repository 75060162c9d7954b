/* SPDX-License-Identifier: BSD-2-Clause */
/* Fixture of the configuration tests. */
#include "config_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define ARGUMENTS_MAX 32
#define PATHS 8

struct buffer fixture_faults = BUFFER_INIT(1024 * 1024);
struct config *fixture_config;
char fixture_directory[PATH_MAX];

static void unload(void)
{
	config_free(fixture_config);
	fixture_config = NULL;
	buffer_deinit(&fixture_faults);
}

int fixture_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	snprintf(fixture_directory, PATH_MAX, "%s/config-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	return mkdtemp(fixture_directory) ? 0 : -1;
}

int fixture_teardown(void **state)
{
	DIR *directory = opendir(fixture_directory);

	(void)state;
	unload();
	if (!directory)
		return -1;
	for (struct dirent *entry; (entry = readdir(directory));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
	return rmdir(fixture_directory);
}

const char *fixture_path(const char *name)
{
	static char paths[PATHS][2 * PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % PATHS];

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture_directory, name);
	return path;
}

const char *fixture_file(const char *name, const char *content)
{
	const char *path = fixture_path(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
	return path;
}

int load_text(const char *text)
{
	unload();
	return config_load_text(text, strlen(text), "t.toml", NULL, &fixture_faults, &fixture_config);
}

int load_text_for_client(const char *text)
{
	unload();
	return config_load_text_for_client(text, strlen(text), "t.toml", &fixture_faults, &fixture_config);
}

int load_arguments(const char *first, ...)
{
	char *argv[ARGUMENTS_MAX] = {strdup("pcapdaemon")};
	int argc = 1, r;
	va_list more;

	va_start(more, first);
	for (const char *word = first; word && argc < ARGUMENTS_MAX; word = va_arg(more, const char *))
		argv[argc++] = strdup(word);
	va_end(more);

	unload();
	r = config_load(argc, argv, NULL, &fixture_faults, &fixture_config);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return r;
}

void assert_has_line(const char *line)
{
	const char *rest = buffer_text(&fixture_faults);
	size_t size = strlen(line);

	while (*rest) {
		if (!strncmp(rest, line, size) && rest[size] == '\n')
			return;
		rest = strchrnul(rest, '\n');
		rest += *rest == '\n';
	}
	fail_msg("no line\n  %s\nin\n%s", line, buffer_text(&fixture_faults));
}

void assert_loads(const char *text)
{
	int r = load_text(text);

	if (r != 0)
		fail_msg("refused: %s", buffer_text(&fixture_faults));
	assert_int_equal(fixture_faults.size, 0);
}

void assert_fault(const char *text, const char *line)
{
	assert_int_equal(load_text(text), -EINVAL);
	assert_null(fixture_config);
	assert_has_line(line);
}
