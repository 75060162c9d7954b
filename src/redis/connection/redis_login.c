/* SPDX-License-Identifier: BSD-2-Clause */
/* A server or proxy that does not know AUTH repeats its arguments in the error: they must not reach the log. */
#include "redis/connection/redis_login.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/secret.h"
#include "redis/connection/redis_options.h"

/* The file of a secret is read again if it has changed. */
static const char *password_of(const struct redis_options *options)
{
	if (options->secret)
		return secret_get(options->secret);
	return options->auth ? options->auth : "";
}

int redis_login_send(redisAsyncContext *redis, const struct redis_options *options, redisCallbackFn *reply, void *ctx)
{
	const char *username = options->username;
	const char *password = password_of(options);

	if (username && *username)
		return redisAsyncCommand(redis, reply, ctx, "AUTH %s %s", username, password);
	if (*password)
		return redisAsyncCommand(redis, reply, ctx, "AUTH %s", password);
	return REDIS_OK;
}

static bool repeats_password(const struct redis_options *options, const char *text)
{
	if (options->secret)
		return secret_is_in(options->secret, text);
	return options->auth && *options->auth && strstr(text, options->auth);
}

void redis_login_describe_refusal(const struct redis_options *options, const char *text, struct error *reason)
{
	const char *arguments = strstr(text, ", with args");
	int size = (int)(arguments ? (size_t)(arguments - text) : strlen(text));

	error_set(reason, 0, "%.*s", size, text);
	if (repeats_password(options, reason->text))
		error_set(reason, 0, "AUTH was refused (the server's message repeats the password and is withheld)");
}

enum redis_role redis_login_read_role(const redisReply *reply, struct error *reason)
{
	const redisReply *role;

	if (reply->type == REDIS_REPLY_ERROR) {
		error_set(reason, 0, "cannot ask the server for its role: %s", reply->str);
		return REDIS_ROLE_UNKNOWN;
	}
	role = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 ? reply->element[0] : NULL;
	if (!role || role->type != REDIS_REPLY_STRING) {
		error_set(reason, 0, "the server's answer to ROLE is malformed");
		return REDIS_ROLE_UNKNOWN;
	}
	if (strcmp(role->str, "master") == 0)
		return REDIS_ROLE_MASTER;
	error_set(reason, 0, "the server that should be the master is a %s",
		  strcmp(role->str, "slave") == 0 ? "replica" : role->str);
	return REDIS_ROLE_OTHER;
}

bool redis_login_is_cluster(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING && strstr(reply->str, "cluster_enabled:1");
}
