/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of one reading are a set with a count of its holders: the keyring holds the current one, and each request
 * the one that it was signed with. Secrets of older sets are overwritten as soon as the last of their requests ends.
 *
 * The file's stamp is taken before it is read: if it is replaced in between, the next look finds another stamp. A stamp
 * may be stale (NFS), so a refused signature leads to a reading without regard to it.
 */
#include "config/config_keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file_stamp.h"
#include "base/log.h"
#include "base/token_bucket.h"
#include "config/config.h"
#include "config/config_keys.h"

#define READS_PER_S 1 /* after refused signatures */

struct config_key_set {
	unsigned holders;
	struct config_key *keys;
	size_t count;
};

struct config_keyring {
	char *path; /* NULL: none */
	struct config_key_set *set;
	struct file_stamp stamp;
	struct file_stamp faulty; /* of the file whose fault was logged last */
	bool faulty_logged;

	struct token_bucket reads;
};

static struct config_key_set *set_new(struct config_key *keys, size_t count)
{
	struct config_key_set *set = calloc(1, sizeof(*set));

	if (!set) {
		config_keys_free(keys, count);
		return NULL;
	}
	*set = (struct config_key_set){.holders = 1, .keys = keys, .count = count};
	return set;
}

void config_key_set_release(struct config_key_set *set)
{
	if (!set || --set->holders > 0)
		return;
	config_keys_free(set->keys, set->count);
	free(set);
}

struct config_keyring *config_keyring_new(const char *path, struct config_key *keys, size_t count)
{
	struct config_key_set *set = set_new(keys, count);
	cleanup(cleanup_config_keyring) struct config_keyring *keyring = set ? calloc(1, sizeof(*keyring)) : NULL;

	if (!keyring) {
		config_key_set_release(set);
		return NULL;
	}
	keyring->set = set;
	token_bucket_init(&keyring->reads, clock_boottime_ns());
	if (path && *path && !(keyring->path = strdup(path)))
		return NULL;
	return take(keyring); /* without a stamp, so the first look reads again: the file may have changed since */
}

void config_keyring_free(struct config_keyring *keyring)
{
	if (!keyring)
		return;
	config_key_set_release(keyring->set);
	free(keyring->path);
	free(keyring);
}

/* --- reading again --- */

static bool is_same_list(const struct config_strings *a, const struct config_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool is_same_set(const struct config_key_set *a, const struct config_key_set *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct config_key *one = &a->keys[i], *other = &b->keys[i];

		if (strcmp(one->name, other->name) != 0 || strcmp(one->secret, other->secret) != 0 ||
		    !is_same_list(&one->destinations, &other->destinations) ||
		    !is_same_list(&one->interfaces, &other->interfaces))
			return false;
	}
	return true;
}

static struct config_key_set *read_file(struct config_keyring *keyring, const struct file_stamp *stamp)
{
	struct config_key *keys;
	size_t count;
	struct error err;
	const bool is_known_fault = file_stamp_equal(stamp, &keyring->faulty) && keyring->faulty_logged;

	switch (config_keys_read(keyring->path, &keys, &count, &err)) {
	case 0:
		keyring->faulty_logged = false;
		return set_new(keys, count);
	case -ENOMEM:
		return NULL;
	default:
		if (!is_known_fault)
			log_warning("secret-unread", log_str("error", err.text),
				    log_str("hint", "the older keys stay in use"));
		keyring->faulty = *stamp;
		keyring->faulty_logged = true;
		return NULL;
	}
}

/* Whether the keys have changed. */
static bool read_again(struct config_keyring *keyring, const struct file_stamp *stamp)
{
	struct config_key_set *set;

	keyring->stamp = *stamp;
	set = read_file(keyring, stamp);
	if (!set || is_same_set(set, keyring->set)) {
		config_key_set_release(set);
		return false;
	}
	config_key_set_release(keyring->set);
	keyring->set = set;
	log_notice("secret-changed", log_str("file", keyring->path), log_uint("keys", set->count));
	return true;
}

bool config_keyring_read_again(struct config_keyring *keyring)
{
	if (!keyring->path || !token_bucket_take(&keyring->reads, READS_PER_S, clock_boottime_ns()))
		return false;
	const struct file_stamp stamp = file_stamp_read(keyring->path);

	return read_again(keyring, &stamp);
}

/* --- use --- */

static void look_at_file(struct config_keyring *keyring)
{
	const struct file_stamp stamp = file_stamp_read(keyring->path);

	if (keyring->path && !file_stamp_equal(&stamp, &keyring->stamp))
		(void)read_again(keyring, &stamp);
}

const struct config_key *config_keyring_find(struct config_keyring *keyring, const char *name, size_t name_size)
{
	look_at_file(keyring);
	for (size_t i = 0; i < keyring->set->count; i++) {
		const struct config_key *key = &keyring->set->keys[i];

		if (strlen(key->name) == name_size && memcmp(key->name, name, name_size) == 0)
			return key;
	}
	return NULL;
}

const struct config_key *config_keyring_first(struct config_keyring *keyring)
{
	look_at_file(keyring);
	return &keyring->set->keys[0]; /* config_keys_read() found one at least */
}

const struct config_key *config_keyring_at(struct config_keyring *keyring, size_t place)
{
	look_at_file(keyring);
	return place < keyring->set->count ? &keyring->set->keys[place] : NULL;
}

static bool is_secret(const struct config_key *key, const char *secret, size_t size)
{
	const size_t own_size = strlen(key->secret);
	unsigned char differs = own_size != size;

	for (size_t i = 0; i < size; i++)
		differs |= (unsigned char)(secret[i] ^ key->secret[i % own_size]);
	return !differs;
}

const struct config_key *config_keyring_find_secret(struct config_keyring *keyring, const char *secret,
						    size_t secret_size)
{
	const struct config_key *found = NULL;

	look_at_file(keyring);
	for (size_t i = 0; i < keyring->set->count; i++)
		if (is_secret(&keyring->set->keys[i], secret, secret_size))
			found = &keyring->set->keys[i];
	return found;
}

size_t config_keyring_count(const struct config_keyring *keyring)
{
	return keyring->set->count;
}

struct config_key_set *config_keyring_hold(struct config_keyring *keyring)
{
	keyring->set->holders++;
	return keyring->set;
}
