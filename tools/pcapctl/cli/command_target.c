/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --socket and --api select one daemon; --redis, --node and --nodere the fleet; --config the fleet or, for a command
 * that only works on one daemon, the daemon. Without them PCAPDAEMON_SOCKET decides, then PCAPDAEMON_REDIS, then the
 * default is the default socket. A command that needs a fleet uses PCAPDAEMON_REDIS, else the daemon's configuration
 * file, else the default Redis.
 */
#include "pcapctl/cli/command_target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "base/printable.h"
#include "config/config.h"
#include "config/config_secret.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/input_file.h"
#include "pcapctl/fleet/fleet_target.h"
#include "pcapctl/fleet/redis_url.h"

#define TOKEN_MAX 4096 /* bytes */

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

static const char *environment_value(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* `value` NULL: it takes none. */
static int add_option(struct command_target *target, enum option_id option, const char *value, struct error *err)
{
	char *options;

	if (asprintf(&options, "%s --%s%s%s", command_target_options(target), option_rows[option].name,
		     value ? " " : "", value ? value : "") < 0)
		return out_of_memory(err);
	free(target->options);
	target->options = options;
	return 0;
}

static int use_socket(struct command_target *target, const char *path, const char *source, struct error *err)
{
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (strlen(path) > max)
		return error_set(err, -EINVAL, "%s: the path of a socket has at most %zu bytes, this one has %zu",
				 source, max, strlen(path));
	target->socket = strdup(path);
	return target->socket ? 0 : out_of_memory(err);
}

static int copy_text(char **text, const char *value, struct error *err)
{
	*text = strdup(value);
	return *text ? 0 : out_of_memory(err);
}

/* --- one daemon --- */

static int read_token(const char *path, struct command_target *target, struct error *err)
{
	char token[TOKEN_MAX + 2];
	cleanup(cleanup_fclose) FILE *file = fopen(path, "re");
	size_t size;

	if (!file)
		return error_set(err, -EINVAL, "--token-file %s: %s", path, strerror(errno));
	if (config_secret_check_mode(path, err) < 0) {
		error_prefix(err, "--token-file");
		return -EINVAL;
	}
	setvbuf(file, NULL, _IONBF, 0);
	size = fread(token, 1, sizeof(token) - 1, file);
	while (size > 0 && (token[size - 1] == '\n' || token[size - 1] == '\r'))
		size--;
	token[size] = '\0';
	if (size == 0 || size > TOKEN_MAX || strspn(token, PLAIN_CHARACTERS "~+/=") != size) {
		explicit_bzero(token, sizeof(token));
		return error_set(err, -EINVAL, "--token-file %s: holds no token (only letters, digits and ._~+/=-)",
				 path);
	}
	target->token = strdup(token);
	explicit_bzero(token, sizeof(token));
	return target->token ? 0 : out_of_memory(err);
}

static bool is_loopback(const char *host)
{
	char address[INET_ADDRSTRLEN];
	struct in_addr parsed;
	const size_t size = strcspn(host, ":/");

	if (strncmp(host, "[::1]", 5) == 0 && strchr(":/", host[5]))
		return true;
	if (size == strlen("localhost") && strncasecmp(host, "localhost", size) == 0)
		return true;
	if (size >= sizeof(address))
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)size, host);
	return inet_pton(AF_INET, address, &parsed) == 1 && ntohl(parsed.s_addr) >> 24 == 127;
}

static int check_token(const struct command_line *line, bool https, const char *host, struct error *err)
{
	if (https || is_loopback(host) || command_line_has(line, OPTION_TOKEN_IN_CLEAR))
		return 0;
	return error_set(err, -EINVAL,
			 "--token-file: others on the way could read the token: use https://, or say so with "
			 "--token-in-clear");
}

static int use_api(const struct command_line *line, struct command_target *target, struct error *err)
{
	const char *url = command_line_value(line, OPTION_API);
	const char *token_file = command_line_value(line, OPTION_TOKEN_FILE);
	const char *ca_file = command_line_value(line, OPTION_CA_FILE);
	bool https = strncmp(url, "https://", 8) == 0;
	const char *host = url + (https ? 8 : 7);
	size_t size = strlen(url);
	int r;

	if (!https && strncmp(url, "http://", 7) != 0)
		return error_set(err, -EINVAL, "--api: must be http://host[:port] or https://host[:port]");
	size -= url[size - 1] == '/';
	if (size <= (size_t)(host - url) || strcspn(host, "/?#@ ") < size - (size_t)(host - url))
		return error_set(err, -EINVAL,
				 "--api: must be only a host and a port; the token goes into --token-file");
	if (ca_file && !https)
		return error_set(err, -EINVAL, "--ca-file: only for https://");
	if (ca_file && access(ca_file, R_OK) < 0)
		return error_set(err, -EINVAL, "--ca-file %s: %s", ca_file, strerror(errno));
	r = copy_text(&target->api, url, err);
	if (r == 0) {
		target->api[size] = '\0';
		r = add_option(target, OPTION_API, target->api, err);
	}
	if (r == 0 && ca_file)
		r = copy_text(&target->ca_file, ca_file, err);
	if (r == 0 && token_file)
		r = check_token(line, https, host, err);
	if (r == 0 && token_file)
		r = read_token(token_file, target, err);
	return r;
}

/* --- the fleet --- */

static int use_url(const char *url, const char *source, struct command_target *target, struct error *err)
{
	int r = redis_url_parse(url, &target->fleet, err);

	if (r < 0)
		error_prefix(err, "%s", source);
	return r;
}

static int use_config(const struct command_line *line, const char *path, struct command_target *target,
		      struct error *err)
{
	cleanup(cleanup_config) struct config *config = NULL;
	int r = input_file_read_config(path, &config, err);

	if (r == -EACCES)
		return error_set(err, r, "%s: you may not read it; let your group read it, or name the daemon with %s",
				 path, line->command->fleet ? "--redis and --redis-auth-file" : "--socket");
	if (r == 0)
		r = add_option(target, OPTION_CONFIG, path, err);
	if (r < 0)
		return r;
	if (line->command->fleet) {
		if (config->unread && !command_line_has(line, OPTION_REDIS_AUTH_FILE))
			return error_set(err, -EACCES,
					 "%s: %s; name a file with the password that you may read with "
					 "--redis-auth-file",
					 path, config->unread);
		target->fleet = fleet_target_from_config(config);
		return target->fleet ? 0 : out_of_memory(err);
	}
	if (!*config->api.socket)
		return error_set(err, -EINVAL, "%s: the daemon has no control socket ([api] socket is empty)", path);
	return use_socket(target, config->api.socket, path, err);
}

/* The command needs a fleet, and no option names its Redis. */
static int use_fleet_default(const struct command_line *line, struct command_target *target, struct error *err)
{
	const char *url = environment_value("PCAPDAEMON_REDIS");

	if (url && environment_value("PCAPDAEMON_SOCKET") && add_option(target, OPTION_REDIS, "URL", err) < 0)
		return -ENOMEM;
	if (url)
		return use_url(url, "PCAPDAEMON_REDIS", target, err);
	if (access(TARGET_CONFIG_DEFAULT, F_OK) == 0)
		return use_config(line, TARGET_CONFIG_DEFAULT, target, err);
	if (add_option(target, OPTION_REDIS, TARGET_REDIS_DEFAULT, err) < 0)
		return -ENOMEM;
	target->fleet = fleet_target_new();
	return target->fleet && fleet_target_complete(target->fleet) == 0 ? 0 : out_of_memory(err);
}

/* --- selection --- */

static int check_exclusive(const struct command_line *line, struct error *err)
{
	static const enum option_id exclusive[] = {OPTION_SOCKET, OPTION_API, OPTION_REDIS, OPTION_CONFIG};
	const char *first = NULL;

	for (size_t i = 0; i < sizeof(exclusive) / sizeof(*exclusive); i++) {
		if (!command_line_has(line, exclusive[i]))
			continue;
		if (first)
			return error_set(err, -EINVAL, "--%s and --%s exclude each other", first,
					 option_rows[exclusive[i]].name);
		first = option_rows[exclusive[i]].name;
	}
	if (!command_line_has(line, OPTION_API) &&
	    (command_line_has(line, OPTION_TOKEN_FILE) || command_line_has(line, OPTION_CA_FILE)))
		return error_set(err, -EINVAL, "--token-file and --ca-file need --api");
	if (command_line_has(line, OPTION_REDIS) && !line->command->fleet)
		return error_set(err, -EINVAL, "`pcapctl %s` works on one daemon, not over Redis", line->command->name);
	if ((command_line_has(line, OPTION_SOCKET) || command_line_has(line, OPTION_API)) && !line->command->local)
		return error_set(err, -EINVAL, "`pcapctl %s` works on a fleet: it needs --redis or --config",
				 line->command->name);
	return 0;
}

static int select_target(const struct command_line *line, struct command_target *target, struct error *err)
{
	const char *redis = environment_value("PCAPDAEMON_REDIS"), *socket = environment_value("PCAPDAEMON_SOCKET");
	bool fleet = line->command->fleet, local = line->command->local;

	if (command_line_has(line, OPTION_SOCKET)) {
		int r = use_socket(target, command_line_value(line, OPTION_SOCKET), "--socket", err);

		return r < 0 ? r : add_option(target, OPTION_SOCKET, target->socket, err);
	}
	if (command_line_has(line, OPTION_API))
		return use_api(line, target, err);
	if (line->redis)
		return add_option(target, OPTION_REDIS, "URL", err) < 0 ? -ENOMEM
									: use_url(line->redis, "--redis", target, err);
	if (command_line_has(line, OPTION_CONFIG))
		return use_config(line, command_line_value(line, OPTION_CONFIG), target, err);
	if (fleet && (!local || command_line_has(line, OPTION_NODE) || command_line_has(line, OPTION_NODERE)))
		return use_fleet_default(line, target, err);
	if (socket)
		return use_socket(target, socket, "PCAPDAEMON_SOCKET", err);
	if (fleet && redis)
		return use_url(redis, "PCAPDAEMON_REDIS", target, err);
	return use_socket(target, TARGET_SOCKET_DEFAULT, "", err);
}

static int read_password(const char *path, struct fleet_target *fleet, struct error *err)
{
	char *password = calloc(1, CONFIG_SECRET_FILE_ROOM);
	int r = password ? config_secret_read(path, password, err) : out_of_memory(err);

	if (r < 0) {
		error_prefix(err, "--redis-auth-file");
	} else {
		if (fleet->password)
			explicit_bzero(fleet->password, strlen(fleet->password));
		r = fleet_target_set(&fleet->password, password) < 0 ? out_of_memory(err) : 0;
	}
	if (password)
		explicit_bzero(password, CONFIG_SECRET_FILE_ROOM);
	free(password);
	return r;
}

/* Its password replaces the one of the URL or of the daemon's file. */
static int use_password_file(const struct command_line *line, struct command_target *target, struct error *err)
{
	const char *path = command_line_value(line, OPTION_REDIS_AUTH_FILE);

	if (!path && target->fleet && target->fleet->username && !target->fleet->password)
		return error_set(err, -EINVAL,
				 "Redis user \"%s\" has no password here; name a file with it with --redis-auth-file",
				 target->fleet->username);
	if (!path)
		return 0;
	if (!target->fleet)
		return error_set(err, -EINVAL, "--redis-auth-file: the command does not use Redis");
	int r = read_password(path, target->fleet, err);
	return r < 0 ? r : add_option(target, OPTION_REDIS_AUTH_FILE, path, err);
}

/* A Redis that is no part of a Cluster, or another in its place, could send us and the password anywhere. */
static int note_cluster(const struct command_line *line, struct command_target *target, struct error *err)
{
	if (!command_line_has(line, OPTION_REDIS_CLUSTER))
		return 0;
	if (!target->fleet)
		return error_set(err, -EINVAL, "--redis-cluster: the command does not use Redis");
	target->fleet->cluster = true;
	return add_option(target, OPTION_REDIS_CLUSTER, NULL, err);
}

int command_target_resolve(const struct command_line *line, struct command_target *target, struct error *err)
{
	int r = check_exclusive(line, err);

	*target = (struct command_target){0};
	if (r == 0)
		r = select_target(line, target, err);
	if (r == 0)
		r = use_password_file(line, target, err);
	return r == 0 ? note_cluster(line, target, err) : r;
}

const char *command_target_options(const struct command_target *target)
{
	return target->options ? target->options : "";
}

void command_target_deinit(struct command_target *target)
{
	if (target->token)
		explicit_bzero(target->token, strlen(target->token));
	free(target->token);
	free(target->socket);
	free(target->api);
	free(target->ca_file);
	free(target->options);
	fleet_target_free(target->fleet);
	*target = (struct command_target){0};
}
