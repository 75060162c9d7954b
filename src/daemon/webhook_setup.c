/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets come from files only, apart from a URL that is none. They were read once when the configuration was loaded.
 */
#include "daemon/webhook_setup.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/secret.h"
#include "config/config.h"
#include "config/config_rules.h"
#include "config/config_secret.h"
#include "event/event.h"

static_assert(CONFIG_WEBHOOKS_MAX == WEBHOOKS_MAX, "room for all of them");
static_assert(SECRET_ROOM >= CONFIG_SECRET_FILE_ROOM, "a file's content fits");

static int read_url(const void *ctx, const char *path, char *text, struct error *err)
{
	const int r = config_secret_read(path, text, err);
	const char *objection = r == 0 ? config_rule_http_url(text) : NULL;

	(void)ctx;
	return objection ? error_set(err, -EINVAL, "%s: its content %s", path, objection) : r;
}

static int read_any(const void *ctx, const char *path, char *text, struct error *err)
{
	(void)ctx;
	return config_secret_read(path, text, err);
}

static unsigned kinds_of(const struct config_webhook *settings)
{
	unsigned kinds = settings->events.count ? 0 : 1u << EVENT_DONE | 1u << EVENT_FAILED;

	for (size_t i = 0; i < settings->events.count; i++)
		for (unsigned kind = 0; kind < EVENT_KINDS; kind++)
			if (!strcmp(settings->events.items[i], event_kind_name((enum event_kind)kind)))
				kinds |= 1u << kind;
	return kinds;
}

static int add_webhook(struct webhook_setup *setup, struct event_base *loop, struct event_bus *bus,
		       const struct config_webhook *settings)
{
	struct secret **secrets = setup->secrets[setup->webhooks.count];
	struct webhook_options options = {
		.name = settings->name,
		.kinds = kinds_of(settings),
		.headers = settings->header.items,
		.header_count = settings->header.count,
		.ca_file = settings->ca_file,
		.verify = settings->verify,
		.retry_ns = settings->retry_ns,
	};
	struct webhook *webhook;

	secrets[0] = secret_new(settings->url, settings->url_file, read_url, NULL);
	secrets[1] = secret_new("", settings->token_file, read_any, NULL);
	secrets[2] = secret_new("", settings->secret_file, read_any, NULL);
	if (!secrets[0] || !secrets[1] || !secrets[2] || !webhook_format_parse(settings->format, &options.format))
		return -ENOMEM;
	options.url = secrets[0];
	options.token = secrets[1];
	options.key = secrets[2];
	webhook = webhook_new(loop, bus, &options);
	if (!webhook)
		return -ENOMEM;
	setup->webhooks.items[setup->webhooks.count++] = webhook;
	return 0;
}

int webhook_setup_init(struct webhook_setup *setup, struct event_base *loop, struct event_bus *bus,
		       const struct config *config)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->webhook_count; i++)
		r = add_webhook(setup, loop, bus, &config->webhooks[i]);
	return r;
}

void webhook_setup_deinit(struct webhook_setup *setup)
{
	webhooks_deinit(&setup->webhooks);
	for (size_t i = 0; i < WEBHOOKS_MAX; i++)
		for (size_t k = 0; k < 3; k++)
			secret_free(take(setup->secrets[i][k]));
}
