/* Warns once, and is quiet until there is news. */
#include "daemon/api_side.h"

#include <errno.h>
#include <event2/event.h>

#include "base/log.h"
#include "config/config.h"

#define RETRY_S 5

static void retry(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	struct api_side *side = ctx;
	struct error ignored;
	side->api = api_new(&side->options, &ignored);
	if (side->api)
		event_del(side->retry);
}

static int begin_retries(struct api_side *side)
{
	const struct timeval interval = {.tv_sec = RETRY_S};
	side->retry = event_new(side->options.loop, -1, EV_PERSIST, retry, side);
	return side->retry && event_add(side->retry, &interval) == 0 ? 0 : -ENOMEM;
}

int api_side_init(struct api_side *side, const struct api_options *options, struct error *err)
{
	const struct config *config = options->config;
	*side = (struct api_side){.options = *options};
	if (!*config->api.socket && !*config->api.listen)
		return 0;
	side->api = api_new(options, err);
	if (side->api)
		return 0;
	if (config->api.asked || *config->api.listen) {
		error_prefix(err, "api");
		return -EADDRNOTAVAIL;
	}
	log_warning("api-unavailable", log_str("error", err->text), log_uint("retry_s", RETRY_S));
	return begin_retries(side) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

void api_side_stop(struct api_side *side)
{
	if (side->retry)
		event_del(side->retry);
	api_stop(side->api);
}

void api_side_deinit(struct api_side *side)
{
	api_free(take(side->api));
	if (side->retry)
		event_free(take(side->retry));
}
