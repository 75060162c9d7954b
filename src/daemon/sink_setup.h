/* SPDX-License-Identifier: BSD-2-Clause */
/* The destinations that are configured, as sinks, and the deliveries to them. Loop thread. */
#pragma once

#include "base/cleanup.h"
#include "sink/compressed_file.h"

struct config;
struct deliveries;
struct event_base;
struct redis_options;
struct secrets;
struct sink;

/* All of these must outlive the setup. */
struct sink_setup_options {
	struct event_base *loop;
	const struct config *config;
	const struct secrets *secrets;
	const struct redis_options *redis; /* the connection of [redis] */
	struct slab_pool *slabs;
	struct compressed_file_account account; /* of limits.memory, for files that are compressed */
};

struct sink_setup {
	struct deliveries *deliveries;
	struct sink *memory; /* the destination memory, owned by deliveries; NULL: off */
};

/* 0 or -ENOMEM; call sink_setup_deinit either way. */
warn_unused int sink_setup_init(struct sink_setup *setup, const struct sink_setup_options *options);
void sink_setup_deinit(struct sink_setup *setup);
