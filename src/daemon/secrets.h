/* SPDX-License-Identifier: BSD-2-Clause */
/* The secrets of the configuration, followed when their files change. Loop thread. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct config;
struct config_destination;
struct config_row;
struct secret;

/* Of a [[destination]]. */
struct destination_secret {
	const struct config_destination *destination;
	const struct config_row *row;
	struct secret *secret;
};

struct secrets {
	struct secret *redis, *sentinel, *cloudshark, *api, *s3_key, *s3_token;
	struct secret *http_url, *http_token, *http_password, *sftp_passphrase;
	struct destination_secret *of_destinations;
	size_t of_destinations_count;
	struct secret *cloudshark_customers; /* NULL: none */
};

/* 0 or -ENOMEM; call secrets_deinit either way. */
warn_unused int secrets_init(struct secrets *secrets, const struct config *config);
void secrets_deinit(struct secrets *secrets);

/* The destination's secret of this key, which its type has. */
struct secret *secrets_of_destination(const struct secrets *secrets, const struct config_destination *destination,
				      const char *key);
