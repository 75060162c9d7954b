/* SPDX-License-Identifier: BSD-2-Clause */
/* A file or systemd credential that was overridden by a value from the command line is not followed: what it holds is
 * not in use. */
#include "daemon/secrets.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/config.h"
#include "config/config_secret.h"
#include "config/config_table.h"
#include "config/config_value.h"

static_assert(SECRET_ROOM >= CONFIG_SECRET_FILE_ROOM, "a file's content fits");

static int read_row(const void *ctx, const char *path, char *text, struct error *err)
{
	return config_secret_read_again(ctx, path, text, err);
}

static int read_customers(const void *ctx, const char *path, char *text, struct error *err)
{
	(void)ctx;
	return config_secret_read_customers(path, text, err);
}

static bool is_source(const char *path, const char *value)
{
	char *text = calloc(1, SECRET_ROOM);
	struct error err;
	const bool same = text && *path && config_secret_read(path, text, &err) == 0 && strcmp(text, value) == 0;

	if (text)
		explicit_bzero(text, SECRET_ROOM);
	free(text);
	return same;
}

static struct secret *new_secret(const struct config_row *row, const char *section, const char *value, const char *file)
{
	char room[PATH_MAX];
	const char *path = *file ? file : config_secret_credential(section, row->key, room);

	return secret_new(value, is_source(path, value) ? path : NULL, read_row, row);
}

static int add_of_destination(struct secrets *secrets, struct config_destination *destination)
{
	const struct config_destination_type *type = config_destination_type_find(destination->type);
	void *settings = (char *)destination + type->offset;
	char section[sizeof("destination.") + CONFIG_DESTINATION_NAME_MAX];

	snprintf(section, sizeof(section), "destination.%s", destination->name);
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i], *file = config_row_secret_file(row);

		if (row->type != CONFIG_SECRET || !config_row_is_of_type(row, type))
			continue;
		struct destination_secret *grown =
			reallocarray(secrets->of_destinations, secrets->of_destinations_count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		secrets->of_destinations = grown;
		struct destination_secret *added = &grown[secrets->of_destinations_count];
		*added = (struct destination_secret){
			.destination = destination,
			.row = row,
			.secret = new_secret(row, section, config_value_text(row, settings),
					     file ? config_value_text(file, settings) : ""),
		};
		if (!added->secret)
			return -ENOMEM;
		secrets->of_destinations_count++;
	}
	return 0;
}

static int init_customers(struct secrets *secrets, const struct config *config)
{
	const char *file = config->cloudshark.customer_tokens_file, *text = config->cloudshark.customer_tokens;
	char room[PATH_MAX];

	if (!text)
		return 0;
	secrets->cloudshark_customers =
		secret_new(text, *file ? file : config_secret_credential("cloudshark", "customer_tokens", room),
			   read_customers, NULL);
	return secrets->cloudshark_customers ? 0 : -ENOMEM;
}

int secrets_init(struct secrets *secrets, const struct config *config)
{
	const struct {
		struct secret **secret;
		const char *section, *key, *value, *file;
	} sources[] = {
		{&secrets->redis, "redis", "auth", config->redis.auth, config->redis.auth_file},
		{&secrets->sentinel, "redis", "sentinel_auth", config->redis.sentinel_auth,
		 config->redis.sentinel_auth_file},
		{&secrets->cloudshark, "cloudshark", "token", config->cloudshark.token, config->cloudshark.token_file},
		{&secrets->http_url, "http", "url", config->http.url, config->http.url_file},
		{&secrets->http_token, "http", "token", config->http.token, config->http.token_file},
		{&secrets->http_password, "http", "password", config->http.password, config->http.password_file},
		{&secrets->sftp_passphrase, "sftp", "passphrase", config->sftp.passphrase,
		 config->sftp.passphrase_file},
		{&secrets->api, "api", "token", config->api.token, config->api.token_file},
		{&secrets->s3_key, "s3", "accesskey", config->s3.accesskey, config->s3.accesskey_file},
		{&secrets->s3_token, "s3", "session_token", config->s3.session_token, config->s3.session_token_file},
	};
	int r = 0;

	*secrets = (struct secrets){0};
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		*sources[i].secret = new_secret(config_row_find(sources[i].section, sources[i].key), sources[i].section,
						sources[i].value, sources[i].file);
		if (!*sources[i].secret)
			return -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < config->destination_count; i++)
		r = add_of_destination(secrets, &config->destinations[i]);
	return r < 0 ? r : init_customers(secrets, config);
}

struct secret *secrets_of_destination(const struct secrets *secrets, const struct config_destination *destination,
				      const char *key)
{
	for (size_t i = 0; i < secrets->of_destinations_count; i++) {
		const struct destination_secret *entry = &secrets->of_destinations[i];

		if (entry->destination == destination && strcmp(entry->row->key, key) == 0)
			return entry->secret;
	}
	return NULL;
}

void secrets_deinit(struct secrets *secrets)
{
	secret_free(secrets->redis);
	secret_free(secrets->sentinel);
	secret_free(secrets->cloudshark);
	secret_free(secrets->http_url);
	secret_free(secrets->http_token);
	secret_free(secrets->http_password);
	secret_free(secrets->sftp_passphrase);
	secret_free(secrets->api);
	secret_free(secrets->s3_key);
	secret_free(secrets->s3_token);
	for (size_t i = 0; i < secrets->of_destinations_count; i++)
		secret_free(secrets->of_destinations[i].secret);
	free(secrets->of_destinations);
	secret_free(secrets->cloudshark_customers);
}
