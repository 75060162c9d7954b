/* SPDX-License-Identifier: BSD-2-Clause */
/* The webhooks of the configuration, with their secrets. Loop thread. */
#pragma once

#include "base/cleanup.h"
#include "webhook/webhook.h"

struct config;
struct event_base;
struct event_bus;
struct secret;

struct webhook_setup {
	struct webhooks webhooks;
	struct secret *secrets[WEBHOOKS_MAX][3]; /* URL, token, key */
};

/* The bus must outlive it. 0 or -errno; call webhook_setup_deinit either way. */
warn_unused int webhook_setup_init(struct webhook_setup *setup, struct event_base *loop, struct event_bus *bus,
				   const struct config *config);
void webhook_setup_deinit(struct webhook_setup *setup);
