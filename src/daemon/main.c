/* SPDX-License-Identifier: BSD-2-Clause */
/* From the command line to an exit status: 0 after a clean stop, 2 for bad usage or configuration, 1 otherwise. */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "bpf/filter.h"
#include "config/config.h"
#include "daemon/daemon.h"

enum { EXIT_BAD_USAGE = 2 };

#define HELP_BYTES_MAX (1u << 20)

static int print_help(void)
{
	struct buffer text = BUFFER_INIT(HELP_BYTES_MAX);
	const int r = config_print_help(&text);

	fputs(buffer_text(&text), stdout);
	buffer_deinit(&text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const struct config *config)
{
	struct error error;

	if (config->help)
		return print_help();
	if (config->version) {
		puts("pcapdaemon " PCAPDAEMON_VERSION);
		return EXIT_SUCCESS;
	}
	if (config->check) {
		puts("configuration is valid");
		return EXIT_SUCCESS;
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
	int r = config_load(argc, argv, filter_check, &faults, &config);

	if (r < 0)
		fprintf(stderr, "%s", faults.size ? buffer_text(&faults) : "out of memory\n");
	buffer_deinit(&faults);
	if (r < 0)
		return EXIT_BAD_USAGE;
	const int status = run(config);
	config_free(config);
	return status;
}
