/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks across keys, and against the host: values that contradict each other, files that cannot be read. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "config/config_loader.h"
#include "config/config_rules.h"
#include "config/config_secret.h"
#include "config/config_upload.h"
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

static void check_directory(struct config_loader *loader, const struct config_row *row, const char *path)
{
	const char *reason = NULL;
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT && loader->unit && unit_file_makes(loader->unit, path))
		return;
	if (stat(path, &st) < 0)
		reason = strerror(errno);
	else if (!S_ISDIR(st.st_mode))
		reason = "is not a directory";
	if (reason)
		config_row_fault(loader, row, "%s: %s", path, reason);
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

	if (!loader->config->general.writelocal)
		return;
	if (!chosen && config_origin_of(loader, writelocal)->layer == CONFIG_LAYER_COMMAND_LINE)
		config_row_fault(loader, writelocal, "needs -destdir, or localdir in the configuration file");
	else
		check_directory(loader, chosen ? localdir : writelocal, loader->config->local.directory);
}

static bool is_same_directory(const char *one, const char *other)
{
	struct stat a, b;

	return other && stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void check_spool(struct config_loader *loader)
{
	const char *path = loader->config->spool.directory;

	if (!*path)
		return;
	check_directory(loader, row_of("spool", "dir"), path);
	const struct config *config = loader->config;
	bool delivered = config->general.writelocal && is_same_directory(path, config->local.directory);
	for (size_t i = 0; i < config->destination_count; i++) {
		const struct config_destination *destination = &config->destinations[i];

		delivered |= destination->type && !strcmp(destination->type, "local") &&
			     is_same_directory(path, destination->local.directory);
	}
	if (delivered)
		config_row_fault(loader, row_of("spool", "dir"), "is a directory that files are delivered to");
}

static void check_cloudshark(struct config_loader *loader)
{
	if (loader->config->cloudshark.upload && !is_on(loader, "cloudshark", "token"))
		config_row_fault(loader, row_of("cloudshark", "upload"),
				 "needs an API token: token_file (or token) in [cloudshark], or -cstoken");
}

static void report_upload(struct config_loader *loader, const char *type, const char *objection, const char *warning,
			  const char *key)
{
	if (objection)
		config_row_fault(loader, row_of(type, key), "%s", objection);
	else if (warning)
		config_row_warning(loader, row_of(type, key), "%s", warning);
}

static void check_http(struct config_loader *loader)
{
	const struct config_http *http = loader->place ? &loader->destination->http : &loader->config->http;
	const bool used = loader->place || http->upload;
	const char *key = NULL, *objection = config_http_objection(http, used, &key);

	report_upload(loader, "http", objection, used && !objection ? config_http_warning(http, &key) : NULL, key);
}

static void check_sftp(struct config_loader *loader)
{
	const struct config_sftp *sftp = loader->place ? &loader->destination->sftp : &loader->config->sftp;
	const bool used = loader->place || sftp->upload;
	const char *key = NULL, *objection = config_sftp_objection(sftp, used, &key);

	report_upload(loader, "sftp", objection, used && !objection ? config_sftp_warning(sftp, &key) : NULL, key);
}

/* A bucket in the request alone would leave other requests without one. */
static void check_s3(struct config_loader *loader)
{
	const struct config_s3 *s3 = loader->place ? &loader->destination->s3 : &loader->config->s3;
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
	if (!loader->place && s3->upload && !*s3->bucket)
		config_row_fault(loader, row_of("s3", "upload"), "needs a bucket");
}

static void check_redis(struct config_loader *loader)
{
	static const char *const tls_keys[] = {"ca_file", "cert_file", "key_file"};
	const struct config_redis *redis = loader->place ? &loader->destination->redis : &loader->config->redis;

	for (size_t i = 0; i < sizeof(tls_keys) / sizeof(*tls_keys); i++)
		if (!redis->tls && is_on(loader, "redis", tls_keys[i]))
			config_row_fault(loader, row_of("redis", tls_keys[i]), "has no effect without tls = true");
	if (is_on(loader, "redis", "cert_file") && !is_on(loader, "redis", "key_file"))
		config_row_fault(loader, row_of("redis", "cert_file"), "needs key_file");
	if (is_on(loader, "redis", "key_file") && !is_on(loader, "redis", "cert_file"))
		config_row_fault(loader, row_of("redis", "key_file"), "needs cert_file");
	if (is_on(loader, "redis", "username") && !is_on(loader, "redis", "auth"))
		config_row_fault(loader, row_of("redis", "username"), "needs a password: auth_file (or auth)");
	if (!loader->place && !strcmp(redis->events, redis->channel))
		config_row_fault(loader, row_of("redis", "events"),
				 "is also the request channel: events would be read as requests");
}

static void check_sentinels(struct config_loader *loader)
{
	static const char *const keys[] = {"sentinel_username", "sentinel_auth", "sentinel_auth_file"};
	const struct config_redis *redis = loader->place ? &loader->destination->redis : &loader->config->redis;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct config_row *row = row_of("redis", keys[i]);

		if (!redis->sentinels.count && is_on(loader, "redis", keys[i]))
			config_row_fault(loader, row, "has no effect without sentinels");
	}
	if (redis->sentinels.count && redis->nodes.count)
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
	       file == row_of("api", "alert_keys_file") || file == row_of("rules", "sign_key") ||
	       file == row_of("cloudshark", "customer_tokens_file");
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
		path = config_value_text(row, config_base_of(loader, row));
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

static void check_input_file(struct config_loader *loader, struct config_origin origin, const char *subject,
			     const char *path)
{
	struct error err;
	int r = access(path, R_OK) < 0 ? error_set(&err, -errno, "%s: %s", path, strerror(errno)) : 0;

	if (r == 0 && strcmp(subject, "input.key_file") == 0)
		r = config_secret_check_mode(path, &err);
	if (r < 0)
		config_fault(loader, origin, subject, "%s", err.text);
}

/* The files of `from = "tls"`, which nothing else may have. */
static void check_input_tls(struct config_loader *loader, const struct config_input *input, struct config_origin origin)
{
	const bool is_tls = input->from && strcmp(input->from, "tls") == 0;
	const struct {
		const char *subject, *path;
		bool required;
	} files[] = {
		{"input.cert_file", input->cert_file, true},
		{"input.key_file", input->key_file, true},
		{"input.ca_file", input->ca_file, false},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		const bool is_given = files[i].path && *files[i].path;

		if (is_given && !is_tls)
			config_fault(loader, origin, files[i].subject, "has no effect without from = \"tls\"");
		else if (is_given)
			check_input_file(loader, origin, files[i].subject, files[i].path);
		else if (is_tls && files[i].required)
			config_fault(loader, origin, files[i].subject, "is missing: from = \"tls\" needs it");
	}
}

/* What we write there ourselves is no alert. */
static void check_input_channel(struct config_loader *loader, const struct config_input *input,
				struct config_origin origin)
{
	const struct config *config = loader->config;
	const struct {
		const char *from, *name, *key;
	} ours[] = {
		{"redis-channel", config->redis.channel, "redis.channel"},
		{"redis-channel", config->redis.events, "redis.events"},
		{"redis-stream", config->redis.stream, "redis.stream"},
	};

	for (size_t i = 0; input->from && i < sizeof(ours) / sizeof(*ours); i++)
		if (strcmp(input->from, ours[i].from) == 0 && strcmp(input->name, ours[i].name) == 0)
			config_fault(loader, origin, "input.name", "is also %s: rules would see what they cause",
				     ours[i].key);
}

static void check_inputs(struct config_loader *loader)
{
	const struct config *config = loader->config;

	for (size_t i = 0; i < config->input_count; i++) {
		const struct config_input *input = &config->inputs[i];
		const struct config_origin origin = config_in_file(loader->input_locations[i]);

		if (!input->name || !*input->name)
			config_fault(loader, origin, "input.name", "is missing");
		else
			check_input_channel(loader, input, origin);
		if (input->from && strncmp(input->from, "redis-", 6) == 0 && !config->redis.listen)
			config_fault(loader, origin, "input.from", "needs Redis: [redis] listen is false");
		check_input_tls(loader, input, origin);
	}
}

/* --- [[webhook]] --- */

/* A fault of its key unless the file can be read and its content obeys the rule (NULL: any). */
static void check_webhook_secret(struct config_loader *loader, struct config_origin origin, const char *key,
				 const char *path, const char *(*rule)(const char *text))
{
	char *content = calloc(1, CONFIG_SECRET_FILE_ROOM);
	const char *objection;
	struct error err;

	if (!content) {
		loader->out_of_memory = true;
		return;
	}
	if (*path && config_secret_read(path, content, &err) < 0)
		config_fault(loader, origin, key, "%s", err.text);
	else if (*path && rule && (objection = rule(content)))
		config_fault(loader, origin, key, "%s: its content %s", path, objection);
	explicit_bzero(content, CONFIG_SECRET_FILE_ROOM);
	free(content);
}

static void check_webhook(struct config_loader *loader, size_t number)
{
	const struct config_webhook *all = loader->config->webhooks, *webhook = &all[number];
	const struct config_origin origin = config_in_file(loader->webhook_locations[number]);

	if (!*webhook->name)
		config_fault(loader, origin, "webhook.name", "is missing");
	for (size_t i = 0; i < number && *webhook->name; i++)
		if (!strcmp(all[i].name, webhook->name))
			config_fault(loader, origin, "webhook.name", "\"%s\" is the one in line %u already",
				     webhook->name, loader->webhook_locations[i].line);
	if (!*webhook->url && !*webhook->url_file)
		config_fault(loader, origin, "webhook.url_file", "is missing (or url)");
	if (*webhook->url && *webhook->url_file)
		config_fault(loader, origin, "webhook.url_file", "conflicts with url; set only one of them");
	if (*webhook->ca_file && access(webhook->ca_file, R_OK) < 0)
		config_fault(loader, origin, "webhook.ca_file", "%s: %s", webhook->ca_file, strerror(errno));
	check_webhook_secret(loader, origin, "webhook.url_file", webhook->url_file, config_rule_http_url);
	check_webhook_secret(loader, origin, "webhook.token_file", webhook->token_file, config_rule_bearer);
	check_webhook_secret(loader, origin, "webhook.secret_file", webhook->secret_file, NULL);
}

static void check_webhooks(struct config_loader *loader)
{
	for (size_t i = 0; i < loader->config->webhook_count; i++)
		check_webhook(loader, i);
}

/* --- [[destination]], by type --- */

static void check_cloudshark_destination(struct config_loader *loader)
{
	if (!is_on(loader, "cloudshark", "token"))
		config_row_fault(loader, row_of("cloudshark", "token_file"),
				 "is missing: CloudShark needs an API token");
}

static void check_local_destination(struct config_loader *loader)
{
	const struct config_row *row = row_of("destination", "directory");

	if (*loader->destination->local.directory)
		check_directory(loader, row, loader->destination->local.directory);
	else if (config_origin_of(loader, row)->layer == CONFIG_LAYER_DEFAULT)
		config_row_fault(loader, row, "is missing");
}

static void check_redis_destination(struct config_loader *loader)
{
	check_redis(loader);
	check_sentinels(loader);
}

static void check_s3_destination(struct config_loader *loader)
{
	check_s3(loader);
	if (!*loader->destination->s3.bucket)
		config_row_fault(loader, row_of("s3", "bucket"), "is missing");
}

static void check_types(struct config_loader *loader)
{
	static const struct {
		const char *type;
		void (*check)(struct config_loader *loader);
	} checks[] = {
		{"cloudshark", check_cloudshark_destination},
		{"local", check_local_destination},
		{"redis", check_redis_destination},
		{"http", check_http},
		{"sftp", check_sftp},
		{"s3", check_s3_destination},
	};

	for (size_t i = 0; i < loader->config->destination_count; i++) {
		config_focus(loader, i);
		for (size_t k = 0; loader->type && k < sizeof(checks) / sizeof(*checks); k++)
			if (!strcmp(checks[k].type, loader->type->name))
				checks[k].check(loader);
		check_files(loader);
		config_unfocus(loader);
	}
}

static void check_filter(struct config_loader *loader, const char *section)
{
	const struct config_row *row = row_of(section, "filter");
	struct error err;

	if (loader->validate_filter &&
	    loader->validate_filter(config_value_text(row, config_base_of(loader, row)), &err) < 0)
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
	if (loader->config->check_destinations && !loader->config->check)
		config_row_fault(loader, config_row_find_option("destinations"),
				 "is for -check only; ask a running daemon with `pcapctl check --destinations`");
	check_times(loader);
	check_filter(loader, "history");
	check_filter(loader, "requests");
	check_filter(loader, "api.requests");
	check_local(loader);
	check_spool(loader);
	check_cloudshark(loader);
	check_http(loader);
	check_sftp(loader);
	check_s3(loader);
	check_redis(loader);
	check_sentinels(loader);
	check_api(loader);
	check_files(loader);
	config_check_destinations(loader);
	check_types(loader);
	check_interfaces(loader);
	check_inputs(loader);
	check_webhooks(loader);
	check_keys(loader);
	check_group(loader);
}

void config_check_for_client(struct config_loader *loader)
{
	check_files(loader);
}
