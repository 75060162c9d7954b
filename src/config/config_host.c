/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * -check on the host where the daemon is to run: warnings, since interfaces appear and disks empty. Files are judged as
 * the daemon will see them: with -user as that user; or as root for the systemd unit that runs this configuration, by
 * its user, credentials and directories; else as the user who asks, which is right inside the unit (ExecStartPre).
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/network_interface.h"
#include "base/suggest.h"
#include "base/user_access.h"
#include "config/config_loader.h"
#include "config/config_value.h"
#include "config/unit_file.h"

#define INTERFACES_MAX 4096

static const struct config_row *row_of(const char *section, const char *key)
{
	return config_row_find(section, key);
}

/* --- as whom --- */

static void become(struct config_loader *loader, const char *name)
{
	const struct config_row *row = config_row_find_option("user");
	struct user_access user;
	struct error err;

	if (!loader->config->check)
		config_row_fault(loader, row, "is for -check only; the daemon runs as the user who starts it");
	else if (user_access_find(name, &user) < 0)
		config_row_fault(loader, row, "this host has no user \"%s\"", name);
	else if (user_access_become(&user, &err) < 0)
		config_row_fault(loader, row, "%s", err.text);
}

void config_host_prepare(struct config_loader *loader)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	const struct config *config = loader->config;

	if (*config->user)
		become(loader, config->user);
	else if (config->check && geteuid() == 0 && *config->path && !(credentials && *credentials))
		loader->unit = unit_file_read(config->path);
	if (loader->unit && !loader->unit->runs_file) {
		free(loader->unit);
		loader->unit = NULL;
	}
}

/* access(2) as the daemon will do it: 0 or -errno. */
static int check_access(const struct config_loader *loader, const char *path, int mode)
{
	struct user_access user;

	if (!loader->unit || !*loader->unit->user)
		return access(path, mode) < 0 ? -errno : 0;
	(void)user_access_find(loader->unit->user, &user);
	const int r = user_access_check(&user, path, mode);
	return r == -EPERM ? 0 : r; /* it cannot be asked here */
}

/* --- interfaces --- */

static void warn_of_interface(struct config_loader *loader, const char *name)
{
	struct if_nameindex *list = if_nameindex();
	cleanup(cleanup_free) const char **names = calloc(INTERFACES_MAX, sizeof(*names));
	size_t count = 0;

	for (size_t i = 0; names && list && list[i].if_name && count < INTERFACES_MAX; i++)
		names[count++] = list[i].if_name;
	const char *near = suggest(name, names, count);
	config_row_warning(loader, row_of("history", "interfaces"),
			   "this host has no interface \"%s\" now%s%s%s; the recorder waits for it", name,
			   near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	if (list)
		if_freenameindex(list);
}

static void check_recorders(struct config_loader *loader)
{
	const struct config_strings *interfaces = &loader->config->history.interfaces;

	for (size_t i = 0; i < interfaces->count; i++) {
		struct network_interface found;

		if (network_interface_find(interfaces->items[i], &found) == -ENODEV)
			warn_of_interface(loader, interfaces->items[i]);
	}
}

/* --- files --- */

static const char *as_whom(const struct config_loader *loader, char text[static UNIT_NAME_SIZE + 64])
{
	if (loader->unit)
		snprintf(text, UNIT_NAME_SIZE + 64, "user %s of %s", *loader->unit->user ? loader->unit->user : "root",
			 UNIT_NAME);
	else
		snprintf(text, UNIT_NAME_SIZE + 64, "this user");
	return text;
}

/* The secret that `file` names, or NULL. */
static const struct config_row *secret_of(const struct config_row *file)
{
	for (size_t i = 0; i < config_row_count; i++) {
		if (config_row_secret_file(&config_rows[i]) == file)
			return &config_rows[i];
	}
	return NULL;
}

/* Root has read them already. */
static void check_unit_files(struct config_loader *loader)
{
	char whom[UNIT_NAME_SIZE + 64], section[CONFIG_SECTION_SIZE];

	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->type != CONFIG_FILE || row->offset == CONFIG_NO_FIELD || !config_origin_of(loader, row)->on)
			continue;
		const char *path = config_value_text(row, config_base_of(loader, row));
		const int r = *path ? check_access(loader, path, R_OK) : 0;
		const bool keys = row == row_of("requests", "keys_file");
		const struct config_row *secret = secret_of(row);
		if (r == 0)
			continue;
		if (secret || keys)
			config_row_warning(
				loader, row,
				"%s cannot read %s (%s): put LoadCredential=%s.%s:%s into the unit and remove "
				"this key",
				as_whom(loader, whom), path, strerror(-r),
				config_credential_section(loader, row, section), keys ? "keys" : secret->key, path);
		else
			config_row_warning(loader, row, "%s cannot read %s: %s", as_whom(loader, whom), path,
					   strerror(-r));
	}
}

static void check_unit_file(struct config_loader *loader)
{
	const int r = check_access(loader, loader->config->path, R_OK);
	char whom[UNIT_NAME_SIZE + 64];

	if (r < 0)
		config_row_warning(loader, config_row_find_option("config"), "%s cannot read %s: %s",
				   as_whom(loader, whom), loader->config->path, strerror(-r));
}

static void check_room(struct config_loader *loader, const struct config_row *row, const char *path)
{
	const uint64_t min_free = loader->place ? loader->destination->local.min_free : loader->config->local.min_free;
	struct statvfs fs;

	if (statvfs(path, &fs) < 0 || !fs.f_blocks)
		return;
	const double free_percent = 100.0 * (double)fs.f_bavail / (double)fs.f_blocks;
	if (free_percent < (double)min_free)
		config_row_warning(loader, row,
				   "%s: only %.1f %% is free, and nothing is written below %llu (local.min_free)", path,
				   free_percent, (unsigned long long)min_free);
}

static void check_writable(struct config_loader *loader, const struct config_row *row, const char *path)
{
	char whom[UNIT_NAME_SIZE + 64];

	if (loader->unit && unit_file_makes(loader->unit, path))
		return;
	const int r = check_access(loader, path, W_OK | X_OK);
	if (r == -ENOENT || r == -ENOTDIR)
		return; /* a fault already */
	if (r < 0)
		config_row_warning(loader, row, "%s cannot write to %s: %s", as_whom(loader, whom), path, strerror(-r));
	else if (loader->unit && !unit_file_may_write(loader->unit, path))
		config_row_warning(loader, row,
				   "%s makes %s read-only (ProtectSystem=strict): put ReadWritePaths=%s into it",
				   UNIT_NAME, path, path);
}

static void check_directory(struct config_loader *loader, const struct config_row *row, const char *path)
{
	check_writable(loader, row, path);
	check_room(loader, row, path);
}

static void check_local(struct config_loader *loader)
{
	const struct config_row *writelocal = row_of("general", "writelocal"),
				*localdir = row_of("general", "localdir");
	const bool chosen = config_origin_of(loader, localdir)->layer != CONFIG_LAYER_DEFAULT;

	if (loader->config->general.writelocal)
		check_directory(loader, chosen ? localdir : writelocal, loader->config->local.directory);
	if (*loader->config->spool.directory)
		check_writable(loader, row_of("spool", "dir"), loader->config->spool.directory);
}

static void check_destinations(struct config_loader *loader)
{
	for (size_t i = 0; i < loader->config->destination_count; i++) {
		config_focus(loader, i);
		if (*loader->destination->type && !strcmp(loader->destination->type, "local"))
			check_directory(loader, row_of("destination", "directory"),
					loader->destination->local.directory);
		if (loader->unit)
			check_unit_files(loader);
		config_unfocus(loader);
	}
}

/* A directory in which the daemon makes a file. */
static void check_parent(struct config_loader *loader, const struct config_row *row, const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX], whom[UNIT_NAME_SIZE + 64];

	if (!slash || slash == path || slash - path >= PATH_MAX ||
	    config_origin_of(loader, row)->layer == CONFIG_LAYER_DEFAULT)
		return;
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
	if (loader->unit && unit_file_makes(loader->unit, directory))
		return;
	const int r = check_access(loader, directory, W_OK | X_OK);
	if (r < 0)
		config_row_warning(loader, row, "%s cannot make a file in %s: %s", as_whom(loader, whom), directory,
				   strerror(-r));
}

void config_host_check(struct config_loader *loader)
{
	check_recorders(loader);
	check_local(loader);
	check_destinations(loader);
	check_parent(loader, row_of("api", "socket"), loader->config->api.socket);
	check_parent(loader, row_of("requests", "nonces_file"), loader->config->requests.nonces_file);
	if (loader->unit) {
		check_unit_files(loader);
		check_unit_file(loader);
	}
}
