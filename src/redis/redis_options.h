/* A copy of redis_options that owns its strings. */
#pragma once

#include "base/cleanup.h"

struct redis_options;

/* Fills the defaults in. 0 or -ENOMEM; redis_options_free either way. */
warn_unused int redis_options_copy(struct redis_options *copy, const struct redis_options *options);

/* The passwords are wiped. */
void redis_options_free(struct redis_options *options);
