/* SPDX-License-Identifier: BSD-2-Clause */
/* A set is whole or not there: one faulty file makes it useless, since the order of the rules matters. */
#include "alert/alert_rule_files.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "base/file_stamp.h"
#include "config/toml_reader.h"

static void mix(uint64_t *hash, const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < size; i++)
		*hash = (*hash ^ byte[i]) * UINT64_C(1099511628211); /* FNV-1a */
}

/* 0, -ENOENT: none matches, or -ENOMEM. */
static int find(const char *pattern, glob_t *found)
{
	switch (glob(pattern, 0, NULL, found)) {
	case 0:
		return 0;
	case GLOB_NOMATCH:
		return -ENOENT;
	default:
		return -ENOMEM;
	}
}

uint64_t alert_rule_files_stamp(const char *pattern)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	glob_t found;

	if (find(pattern, &found) < 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const struct file_stamp stamp = file_stamp_read(found.gl_pathv[i]);

		mix(&hash, found.gl_pathv[i], strlen(found.gl_pathv[i]) + 1);
		mix(&hash, &stamp, sizeof(stamp));
	}
	globfree(&found);
	return hash;
}

/* 0, or -errno. Reads a little more than a document may have, so that excess is noticed. */
static int read_file(const char *path, struct buffer *text)
{
	cleanup(cleanup_close) const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[16384];

	if (fd < 0)
		return -errno;
	while (text->size <= TOML_SIZE_MAX) {
		const ssize_t got = read(fd, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0 ? 0 : -errno;
		const int r = buffer_append(text, chunk, (size_t)got);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_fault(struct buffer *faults, const char *path, const char *text)
{
	return buffer_printf(faults, "%s: %s\n", path, text) == -ENOMEM ? -ENOMEM : -EINVAL;
}

static int add_file(const char *path, struct alert_rules *rules, struct buffer *faults)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(TOML_SIZE_MAX + 65536);
	const int r = read_file(path, &text);

	if (r == -ENOMEM)
		return r;
	return r < 0 ? add_fault(faults, path, strerror(-r))
		     : alert_rules_read(rules, path, buffer_text(&text), text.size, faults);
}

int alert_rule_files_add(const char *pattern, struct alert_rules *rules, struct buffer *faults)
{
	glob_t found;
	int r = find(pattern, &found), result = 0;

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (found.gl_pathc > ALERT_FILES_MAX)
		result = add_fault(faults, pattern, "matches too many files (the limit is 256)");
	for (size_t i = 0; result != -ENOMEM && i < found.gl_pathc && i < ALERT_FILES_MAX; i++) {
		r = add_file(found.gl_pathv[i], rules, faults);
		result = r < 0 ? r : result;
	}
	globfree(&found);
	return result;
}

int alert_rule_files_read(const char *pattern, struct alert_rules *rules, struct buffer *faults)
{
	const int r = alert_rule_files_add(pattern, rules, faults);

	if (r < 0)
		alert_rules_clear(rules);
	return r;
}
