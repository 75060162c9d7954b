/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `doctor` examines this host's daemon: its configuration as -check judges it, the daemon by its control API, the host,
 * the destinations, and Redis with the daemon's own user. Each part works without the others. It changes nothing.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "bpf/filter.h"
#include "config/config.h"
#include "pcapctl/cli/command_line.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/commands.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/doctor/doctor_daemon.h"
#include "pcapctl/doctor/doctor_destinations.h"
#include "pcapctl/doctor/doctor_host.h"
#include "pcapctl/doctor/doctor_redis.h"
#include "pcapctl/doctor/findings.h"
#include "pcapctl/fleet/fleet_target.h"
#include "pcapctl/fleet/redis_url.h"
#include "pcapctl/output/terminal.h"

#define WARNING_MARK ": warning: "

static const char *environment_value(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* --- the configuration --- */

static void add_lines(struct findings *findings, const char *path, const char *lines)
{
	char advice[FINDING_TEXT_MAX], line[FINDING_TEXT_MAX];

	snprintf(advice, sizeof(advice), "correct it, and check with `pcapdaemon -check -config %s`", path);
	for (const char *at = lines; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		char *mark = strstr(line, WARNING_MARK);
		if (mark)
			memmove(mark + 2, mark + strlen(WARNING_MARK), strlen(mark + strlen(WARNING_MARK)) + 1);
		if (mark)
			finding_add(findings, FINDING_WARNING, "config", "", "%s", line);
		else
			finding_add(findings, FINDING_FAULT, "config", advice, "%s", line);
	}
}

/* The configuration as -check loads it; NULL: none, or one that cannot be used. The caller frees. */
static struct config *examine_config(struct findings *findings, const char *path)
{
	cleanup(buffer_deinit) struct buffer lines = BUFFER_INIT(CONFIG_FAULTS_BYTES_MAX);
	char check[] = "-check", option[] = "-config", name[] = "pcapdaemon";
	cleanup(cleanup_free) char *file = strdup(path);
	char *arguments[] = {name, check, option, file, NULL};
	struct config *config = NULL;

	if (access(path, R_OK) < 0 && errno == EACCES) {
		finding_add(findings, FINDING_WARNING, "config", "run it as root, or as a user who may read the file",
			    "%s cannot be read: what depends on it is not examined", path);
		return NULL;
	}
	const int r = file ? config_load(4, arguments, filter_check, &lines, &config) : -ENOMEM;
	add_lines(findings, path, buffer_text(&lines));
	if (r == -ENOMEM)
		finding_add(findings, FINDING_FAULT, "config", "", "out of memory");
	if (r == 0)
		finding_add(findings, FINDING_OK, "config", "", "%s is valid", path);
	return config;
}

/* --- Redis --- */

/* Which one, and NULL if the daemon uses none. `*own`: with the daemon's user. 0 or -errno with `err`. */
static int find_redis(const struct command_line *line, const struct config *config, struct fleet_target **target,
		      bool *own, struct error *err)
{
	const char *url = line->redis ? line->redis : environment_value("PCAPDAEMON_REDIS");

	*own = false;
	if (url && !command_line_has(line, OPTION_CONFIG)) {
		const int r = redis_url_parse(url, target, err);

		return r < 0 ? r : fleet_target_complete(*target);
	}
	if (!config || !config->redis.listen)
		return 0;
	*own = true;
	*target = fleet_target_from_config(config);
	return *target ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static void examine_redis(struct findings *findings, const struct command_line *line, const struct config *config)
{
	cleanup(cleanup_fleet_target) struct fleet_target *target = NULL;
	struct error err;
	bool own;

	if (find_redis(line, config, &target, &own, &err) < 0) {
		finding_add_error(findings, FINDING_FAULT, "redis", &err);
		return;
	}
	if (target && command_line_has(line, OPTION_REDIS_CLUSTER))
		target->cluster = true;
	if (target)
		doctor_redis(findings, target, own ? config : NULL);
}

/* --- all of it --- */

static const char *find_socket(const struct command_line *line, const struct config *config)
{
	const char *given = command_line_value(line, OPTION_SOCKET);

	if (!given)
		given = environment_value("PCAPDAEMON_SOCKET");
	if (!given && config && *config->api.socket)
		given = config->api.socket;
	return given ? given : TARGET_SOCKET_DEFAULT;
}

enum exit_status doctor(const struct command_context *context)
{
	const struct command_line *line = context->line;
	cleanup(cleanup_findings) struct findings *findings = findings_new();
	cleanup(cleanup_config) struct config *config = NULL;
	cleanup(cleanup_json) json_t *interfaces = NULL;
	const char *path = command_line_value(line, OPTION_CONFIG);

	if (!findings) {
		terminal_error("out of memory");
		return STATUS_FAILED;
	}
	if (command_line_has(line, OPTION_API)) {
		terminal_error("--api: doctor examines this host; run it there");
		return STATUS_USAGE;
	}
	if (path || access(TARGET_CONFIG_DEFAULT, F_OK) == 0)
		config = examine_config(findings, path ? path : TARGET_CONFIG_DEFAULT);
	interfaces = doctor_daemon(findings, find_socket(line, config), config);
	doctor_kernel(findings, "");
	doctor_offloads(findings, interfaces);
	if (config)
		doctor_destinations(findings, config);
	examine_redis(findings, line, config);
	return findings_print(findings, context->terminal);
}
