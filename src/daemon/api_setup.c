/* SPDX-License-Identifier: BSD-2-Clause */
/* Warns once when the socket is unavailable, then retries silently. */
#include "daemon/api_setup.h"

#include <errno.h>
#include <event2/event.h>

#include "base/log.h"
#include "config/config.h"

#define RETRY_S 5

static void retry(evutil_socket_t fd, short what, void *ctx)
{
	struct api_setup *setup = ctx;
	struct error ignored;

	(void)fd;
	(void)what;
	setup->api = api_new(&setup->options, &ignored);
	if (setup->api)
		event_del(setup->retry);
}

static int start_retries(struct api_setup *setup)
{
	const struct timeval interval = {.tv_sec = RETRY_S};

	setup->retry = event_new(setup->options.loop, -1, EV_PERSIST, retry, setup);
	return setup->retry && event_add(setup->retry, &interval) == 0 ? 0 : -ENOMEM;
}

int api_setup_init(struct api_setup *setup, const struct api_options *options, struct error *err)
{
	const struct config *config = options->config;

	*setup = (struct api_setup){.options = *options};
	if (!*config->api.socket && !*config->api.listen)
		return 0;
	setup->api = api_new(options, err);
	if (setup->api)
		return 0;
	if (config->api.configured || *config->api.listen) {
		error_prefix(err, "api");
		return -EADDRNOTAVAIL;
	}
	log_warning("api-unavailable", log_str("error", err->text), log_uint("retry_s", RETRY_S));
	return start_retries(setup) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

void api_setup_stop(struct api_setup *setup)
{
	if (setup->retry)
		event_del(setup->retry);
	api_stop(setup->api);
}

void api_setup_deinit(struct api_setup *setup)
{
	api_free(take(setup->api));
	if (setup->retry)
		event_free(take(setup->retry));
}
