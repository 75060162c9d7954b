/* SPDX-License-Identifier: BSD-2-Clause */
/* From the command line to an exit status: 0 after a clean stop, 2 for bad usage or configuration, 1 otherwise. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alert/alert_rule_files.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "base/standard_fds.h"
#include "bpf/filter.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/destination_trial.h"
#include "daemon/memory_check.h"

enum { EXIT_BAD_USAGE = 2 };

#define HELP_BYTES_MAX (1u << 20)

static int print_help(void)
{
	struct buffer text = BUFFER_INIT(HELP_BYTES_MAX);
	const int r = config_print_help(&text);
	const bool failed = r < 0 || fputs(buffer_text(&text), stdout) < 0;

	buffer_deinit(&text);
	return failed;
}

/* The exit status after printing: a full disk or a closed output is a failure. */
static int flushed(int failed)
{
	if (fflush(stdout) == 0 && !failed)
		return EXIT_SUCCESS;
	fprintf(stderr, "pcapdaemon: cannot write to the standard output: %s\n", strerror(errno));
	return EXIT_FAILURE;
}

/* The files of alert rules; prints their faults. */
static bool rules_are_valid(const struct config *config)
{
	cleanup(alert_rules_clear) struct alert_rules rules = {0};
	cleanup(buffer_deinit) struct buffer faults = BUFFER_INIT(CONFIG_FAULTS_BYTES_MAX);
	const int r = alert_rule_files_read(config->rules.files, &rules, &faults);

	fputs(r == -ENOMEM ? "out of memory\n" : buffer_text(&faults), stderr);
	return r == 0;
}

/* The exit status: a failure if one of them failed. */
static int try_destinations(const struct config *config)
{
	struct error error;
	const int r = destination_trial_run(config, &error);

	if (r < 0)
		fprintf(stderr, "pcapdaemon: %s\n", error.text);
	const int status = flushed(0);
	return r != 0 ? EXIT_FAILURE : status;
}

static int check(const struct config *config)
{
	struct error warning;

	if (memory_check_host(config, &warning))
		fprintf(stderr, "pcapdaemon: warning: %s\n", warning.text);
	return puts("configuration is valid") < 0;
}

static int run(const struct config *config)
{
	struct error error;

	if (config->help)
		return flushed(print_help());
	if (config->version)
		return flushed(puts("pcapdaemon " PCAPDAEMON_VERSION) < 0);
	if (!rules_are_valid(config))
		return EXIT_BAD_USAGE;
	if (config->check) {
		const int status = flushed(check(config));
		return status == EXIT_SUCCESS && config->check_destinations ? try_destinations(config) : status;
	}
	if (daemon_run(config, &error) == 0)
		return EXIT_SUCCESS;
	log_error("failed", log_str("error", error.text));
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct config *config = NULL;
	struct buffer faults = BUFFER_INIT(CONFIG_FAULTS_BYTES_MAX);

	standard_fds_reserve();
	int r = config_load(argc, argv, filter_check, &faults, &config);

	if (r < 0 && !faults.size)
		fprintf(stderr, "out of memory\n");
	fputs(buffer_text(&faults), stderr); /* faults and warnings */
	buffer_deinit(&faults);
	if (r < 0)
		return EXIT_BAD_USAGE;
	const int status = run(config);
	config_free(config);
	return status;
}
