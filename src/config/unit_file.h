/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon's systemd unit says of the files that it can use (systemd.exec(5)): user, credentials, directories.
 * Reads the unit and its drop-ins as systemd finds them, without asking systemd.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define UNIT_NAME "pcapdaemon.service"
#define UNIT_CREDENTIALS_MAX 32
#define UNIT_PATHS_MAX 32
#define UNIT_NAME_SIZE 64

struct unit_credential {
	char id[UNIT_NAME_SIZE];
	char path[PATH_MAX]; /* its source; "": not a file of its own (SetCredential, encrypted) */
};

struct unit_file {
	char path[PATH_MAX];
	char user[UNIT_NAME_SIZE]; /* "": root */
	bool read_only;		   /* ProtectSystem=strict */
	bool runs_file;		   /* its commands name the configuration file */
	struct unit_credential credentials[UNIT_CREDENTIALS_MAX];
	size_t credential_count;
	char made[UNIT_PATHS_MAX][PATH_MAX]; /* StateDirectory, RuntimeDirectory */
	size_t made_count;
	char writable[UNIT_PATHS_MAX][PATH_MAX]; /* ReadWritePaths */
	size_t writable_count;
};

/* `config_path`: the file for `runs_file`. NULL: there is no such unit, or no memory. The caller frees. Blocks. */
struct unit_file *unit_file_read(const char *config_path);

/* NULL: the unit has none of this id. */
const struct unit_credential *unit_file_credential(const struct unit_file *unit, const char *section, const char *key);

/* Whether systemd makes the directory before it starts the daemon. */
bool unit_file_makes(const struct unit_file *unit, const char *path);

/* Whether the unit lets the daemon write there, as far as mounts go. */
bool unit_file_may_write(const struct unit_file *unit, const char *path);
