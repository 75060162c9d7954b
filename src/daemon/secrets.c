/* SPDX-License-Identifier: BSD-2-Clause */
/* A file or systemd credential that was overridden by a value from the command line is not followed: what it holds is
 * not in use. */
#include "daemon/secrets.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/config.h"
#include "config/config_secret.h"
#include "config/config_table.h"

static_assert(SECRET_ROOM >= CONFIG_SECRET_FILE_ROOM, "a file's content fits");

static int read_row(const void *ctx, const char *path, char *text, struct error *err)
{
	return config_secret_read_again(ctx, path, text, err);
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
		{&secrets->api, "api", "token", config->api.token, config->api.token_file},
		{&secrets->s3_key, "s3", "accesskey", config->s3.accesskey, config->s3.accesskey_file},
		{&secrets->s3_token, "s3", "session_token", config->s3.session_token, config->s3.session_token_file},
	};

	*secrets = (struct secrets){0};
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		char room[PATH_MAX];
		const char *path = *sources[i].file
					   ? sources[i].file
					   : config_secret_credential(sources[i].section, sources[i].key, room);

		*sources[i].secret = secret_new(sources[i].value, is_source(path, sources[i].value) ? path : NULL,
						read_row, config_row_find(sources[i].section, sources[i].key));
		if (!*sources[i].secret)
			return -ENOMEM;
	}
	return 0;
}

void secrets_deinit(struct secrets *secrets)
{
	secret_free(secrets->redis);
	secret_free(secrets->sentinel);
	secret_free(secrets->cloudshark);
	secret_free(secrets->api);
	secret_free(secrets->s3_key);
	secret_free(secrets->s3_token);
}
