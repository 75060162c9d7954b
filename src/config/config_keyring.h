/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys that sign requests, read again when their file changes. What requests refer to stays valid as long as they
 * hold it. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct config_key;
struct config_key_set;
struct config_keyring;

/* Keys from config_keys_read(), whose owner it becomes, even on failure. `path` is copied; NULL or "": they never
 * change. NULL on ENOMEM. */
struct config_keyring *config_keyring_new(const char *path, struct config_key *keys, size_t count);
void config_keyring_free(struct config_keyring *keyring);

/*
 * The key of this name; NULL: there is none. Reads the file again if it was replaced or rewritten; a file that is gone
 * or has a fault is logged once, and leaves the keys as they were. Valid until the next call, or while its set is held.
 */
const struct config_key *config_keyring_find(struct config_keyring *keyring, const char *name, size_t name_size);

/* The file's first key. Otherwise as above. */
const struct config_key *config_keyring_first(struct config_keyring *keyring);

/* The file's keys from 0 on; NULL: there are no more. Otherwise as above. */
const struct config_key *config_keyring_at(struct config_keyring *keyring, size_t place);

/* The key with this secret, which is a token; otherwise as above. Takes the same time wherever they differ. */
const struct config_key *config_keyring_find_secret(struct config_keyring *keyring, const char *secret,
						    size_t secret_size);

/* A signature was refused: reads the file again even if it looks the same, at most once a second. Whether the keys have
 * changed. */
bool config_keyring_read_again(struct config_keyring *keyring);

size_t config_keyring_count(const struct config_keyring *keyring); /* keys now */

/* Keeps the keys of this moment. */
struct config_key_set *config_keyring_hold(struct config_keyring *keyring);
void config_key_set_release(struct config_key_set *set); /* NULL: does nothing */

CLEANUP_DEFINE(config_keyring, struct config_keyring, config_keyring_free)
