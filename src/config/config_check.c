/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks across keys, and against the host: values that contradict each other, files that cannot be read. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "config/config_loader.h"
#include "config/config_secret.h"
#include "config/config_value.h"
#include "config/unit_file.h"

static const struct config_row *row_of(const char *section, const char *key)
{
	return config_row_find(section, key);
}

static bool is_on(struct config_loader *loader, const char *section, const char *key)
{
	return config_origin_of(loader, row_of(section, key))->on;
}

static void check_times(struct config_loader *loader)
{
	const struct config *config = loader->config;
	const struct config_row *timeout = row_of("general", "defaulttimeout");
	const struct config_row *limit = row_of("general", "maxtimeout");

	if (config->general.defaulttimeout_ns <= config->general.maxtimeout_ns)
		return;
	if (config_origin_of(loader, timeout)->layer == CONFIG_LAYER_DEFAULT)
		config_row_fault(loader, limit, "is less than defaulttimeout (%s seconds, the default)",
				 timeout->fallback);
	else
		config_row_fault(loader, timeout, "is more than maxtimeout");
}

/*
 * The daemon writes to a file system only where configured, so the option -writelocal needs a directory. With
 * writelocal = true in the file, localdir has its documented default.
 */
static void check_local(struct config_loader *loader)
{
	const struct config_row *writelocal = row_of("general", "writelocal");
	const struct config_row *localdir = row_of("general", "localdir");
	bool chosen = config_origin_of(loader, localdir)->layer != CONFIG_LAYER_DEFAULT;
	const char *path = loader->config->general.localdir;
	const char *reason = NULL;
	struct stat st;

	if (!loader->config->general.writelocal)
		return;
	if (!chosen && config_origin_of(loader, writelocal)->layer == CONFIG_LAYER_COMMAND_LINE) {
		config_row_fault(loader, writelocal, "needs -destdir, or localdir in the configuration file");
		return;
	}
	if (stat(path, &st) < 0 && errno == ENOENT && loader->unit && unit_file_makes(loader->unit, path))
		return;
	if (stat(path, &st) < 0)
		reason = strerror(errno);
	else if (!S_ISDIR(st.st_mode))
		reason = "is not a directory";
	if (reason)
		config_row_fault(loader, chosen ? localdir : writelocal, "%s: %s", path, reason);
}

static void check_cloudshark(struct config_loader *loader)
{
	if (loader->config->cloudshark.upload && !is_on(loader, "cloudshark", "token"))
		config_row_fault(loader, row_of("cloudshark", "upload"),
				 "needs an API token: token_file (or token) in [cloudshark], or -cstoken");
}

/* A bucket in the request alone would leave other requests without one. */
static void check_s3(struct config_loader *loader)
{
	const struct config_s3 *s3 = &loader->config->s3;
	const struct config_row *accessid = row_of("s3", "accessid"), *accesskey = row_of("s3", "accesskey");
	const struct config_row *pcaps = row_of("s3", "pcaps");

	if (config_origin_of(loader, pcaps)->on && is_on(loader, "s3", "folder"))
		config_row_fault(loader, pcaps, "conflicts with folder; set only one of them");
	if (is_on(loader, "s3", "accessid") && !is_on(loader, "s3", "accesskey"))
		config_row_fault(loader, accessid, "needs a secret: accesskey_file (or accesskey)");
	if (is_on(loader, "s3", "accesskey") && !is_on(loader, "s3", "accessid"))
		config_row_fault(loader, accesskey, "needs accessid");
	if (is_on(loader, "s3", "session_token") && !is_on(loader, "s3", "accessid"))
		config_row_fault(loader, row_of("s3", "session_token"), "needs accessid and its secret");
	if (*s3->kms_key_id && strncmp(s3->encryption, "aws:kms", 7) != 0)
		config_row_fault(loader, row_of("s3", "kms_key_id"), "has no effect without encryption = \"aws:kms\"");
	if (s3->upload && !*s3->bucket)
		config_row_fault(loader, row_of("s3", "upload"), "needs a bucket");
}

static void check_redis(struct config_loader *loader)
{
	static const char *const tls_keys[] = {"ca_file", "cert_file", "key_file"};
	const struct config *config = loader->config;

	for (size_t i = 0; i < sizeof(tls_keys) / sizeof(*tls_keys); i++)
		if (!config->redis.tls && is_on(loader, "redis", tls_keys[i]))
			config_row_fault(loader, row_of("redis", tls_keys[i]), "has no effect without tls = true");
	if (is_on(loader, "redis", "cert_file") && !is_on(loader, "redis", "key_file"))
		config_row_fault(loader, row_of("redis", "cert_file"), "needs key_file");
	if (is_on(loader, "redis", "key_file") && !is_on(loader, "redis", "cert_file"))
		config_row_fault(loader, row_of("redis", "key_file"), "needs cert_file");
	if (is_on(loader, "redis", "username") && !is_on(loader, "redis", "auth"))
		config_row_fault(loader, row_of("redis", "username"), "needs a password: auth_file (or auth)");
	if (!strcmp(config->redis.events, config->redis.channel))
		config_row_fault(loader, row_of("redis", "events"),
				 "is also the request channel: events would be read as requests");
}

static void check_sentinels(struct config_loader *loader)
{
	static const char *const keys[] = {"sentinel_username", "sentinel_auth", "sentinel_auth_file"};
	const struct config *config = loader->config;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct config_row *row = row_of("redis", keys[i]);

		if (!config->redis.sentinels.count && is_on(loader, "redis", keys[i]))
			config_row_fault(loader, row, "has no effect without sentinels");
	}
	if (config->redis.sentinels.count && config->redis.nodes.count)
		config_row_fault(loader, row_of("redis", "nodes"),
				 "is for a Cluster, sentinels are for a master with replicas; set only one of them");
	if (is_on(loader, "redis", "sentinel_username") && !is_on(loader, "redis", "sentinel_auth"))
		config_row_fault(loader, row_of("redis", "sentinel_username"),
				 "needs a password: sentinel_auth_file (or sentinel_auth)");
}

/* A token sent in the clear protects nothing, so TCP needs TLS except on loopback. */
static void check_api(struct config_loader *loader)
{
	const struct config *config = loader->config;
	const char *listen = config->api.listen;

	if (is_on(loader, "api", "cert_file") != is_on(loader, "api", "key_file"))
		config_row_fault(loader, row_of("api", is_on(loader, "api", "cert_file") ? "cert_file" : "key_file"),
				 "needs %s", is_on(loader, "api", "cert_file") ? "key_file" : "cert_file");
	if (!*listen)
		return;
	if (!is_on(loader, "api", "token"))
		config_row_fault(loader, row_of("api", "listen"), "needs a token: token_file (or token)");
	if (!is_on(loader, "api", "cert_file") && strncmp(listen, "127.", 4) != 0 &&
	    strncmp(listen, "[::1]:", 6) != 0 && strncmp(listen, "localhost:", 10) != 0)
		config_row_fault(loader, row_of("api", "listen"),
				 "needs TLS except on loopback: cert_file and key_file");
}

/* Replays of old entries are recognised by their ids in the reply store, which forgets them after the longest age. */
static void check_keys(struct config_loader *loader)
{
	const struct config *config = loader->config;

	if (config->requests.keyring && *config->redis.stream && !config->redis.stream_max_age_ns)
		config_row_fault(loader, row_of("redis", "stream_max_age"),
				 "must limit the age of signed requests (requests.keys_file)");
}

/* The default group need not exist: the socket is then for root only. One that was chosen must. */
static void check_group(struct config_loader *loader)
{
	const struct config_row *row = row_of("api", "group");
	const char *group = loader->config->api.group;

	if (*group && strcmp(group, row->fallback) != 0 && !getgrnam(group))
		config_row_fault(loader, row, "this host has no group \"%s\"", group);
}

static bool is_secret_file(const struct config_row *file)
{
	for (size_t i = 0; i < config_row_count; i++)
		if (config_row_secret_file(&config_rows[i]) == file)
			return true;
	return file == row_of("requests", "keys_file") || file == row_of("api", "alert_tokens_file") ||
	       file == row_of("rules", "sign_key");
}

/* The files of secrets have been read already. */
static void check_files(struct config_loader *loader)
{
	struct error err;

	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];
		const char *path;

		if (row->type != CONFIG_FILE || row->offset == CONFIG_NO_FIELD || !config_origin_of(loader, row)->on ||
		    is_secret_file(row) ||
		    (loader->for_client && (!row->section || strcmp(row->section, "redis") != 0)))
			continue;
		path = config_value_text(row, loader->config);
		if (*path && access(path, R_OK) < 0) {
			error_set(&err, -errno, "%s: %s", path, strerror(errno));
			config_file_fault(loader, row, err.text);
		} else if (*path && !strcmp(row->key, "key_file") && config_secret_check_mode(path, &err) < 0) {
			config_file_fault(loader, row, err.text);
		}
	}
}

static void check_interfaces(struct config_loader *loader)
{
	const struct config *config = loader->config;

	for (size_t i = 0; i < config->interface_count; i++) {
		struct config_origin origin = config_in_file(loader->interface_locations[i]);
		const char *name = config->interfaces[i].name;

		if (!name || !*name) {
			config_fault(loader, origin, "interface.name", "is missing");
			continue;
		}
		for (size_t j = 0; j < i; j++) {
			if (config->interfaces[j].name && !strcmp(config->interfaces[j].name, name)) {
				config_fault(loader, origin, "interface.name",
					     "\"%s\" already has a section, in line %u", name,
					     loader->interface_locations[j].line);
				break;
			}
		}
	}
}

static void check_inputs(struct config_loader *loader)
{
	const struct config *config = loader->config;

	for (size_t i = 0; i < config->input_count; i++) {
		const struct config_input *input = &config->inputs[i];
		const struct config_origin origin = config_in_file(loader->input_locations[i]);

		if (!input->name || !*input->name)
			config_fault(loader, origin, "input.name", "is missing");
		else if (input->from && strncmp(input->from, "redis-", 6) == 0 && !config->redis.listen)
			config_fault(loader, origin, "input.from", "needs Redis: [redis] listen is false");
	}
}

static void check_filter(struct config_loader *loader, const char *section)
{
	const struct config_row *row = row_of(section, "filter");
	struct error err;

	if (loader->validate_filter && loader->validate_filter(config_value_text(row, loader->config), &err) < 0)
		config_row_fault(loader, row, "%s", err.text);
}

static void check_log(struct config_loader *loader)
{
	struct log_level level;
	struct error err;

	if (log_level_parse(loader->config->log.level, &level, &err) < 0)
		config_row_fault(loader, row_of("log", "level"), "%s", err.text);
}

void config_check(struct config_loader *loader)
{
	check_log(loader);
	check_times(loader);
	check_filter(loader, "history");
	check_filter(loader, "requests");
	check_filter(loader, "api.requests");
	check_local(loader);
	check_cloudshark(loader);
	check_s3(loader);
	check_redis(loader);
	check_sentinels(loader);
	check_api(loader);
	check_files(loader);
	check_interfaces(loader);
	check_inputs(loader);
	check_keys(loader);
	check_group(loader);
}

void config_check_for_client(struct config_loader *loader)
{
	check_files(loader);
}
