/* SPDX-License-Identifier: BSD-2-Clause */
/* The secrets of the configuration, followed when their files change. Loop thread. */
#pragma once

#include "base/cleanup.h"

struct config;
struct secret;

struct secrets {
	struct secret *redis, *sentinel, *cloudshark, *api, *s3_key, *s3_token;
};

/* 0 or -ENOMEM; call secrets_deinit either way. */
warn_unused int secrets_init(struct secrets *secrets, const struct config *config);
void secrets_deinit(struct secrets *secrets);
