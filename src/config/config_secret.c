/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Secrets from files: for every secret row, from the file that its companion "<key>_file" names, or else from the
 * systemd credential "section.key" ($CREDENTIALS_DIRECTORY, systemd.exec(5)). A value and a file from the same layer
 * conflict; otherwise the stronger layer wins.
 */
#include "config/config_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/customer_tokens.h"
#include "config/config_keyring.h"
#include "config/config_keys.h"
#include "config/config_loader.h"
#include "config/config_rules.h"
#include "config/config_value.h"
#include "config/unit_file.h"

static int check_mode(const char *path, mode_t mode, struct error *err)
{
	if (!(mode & S_IRWXO))
		return 0;
	return error_set(err, -EINVAL, "%s: others may %s it (mode %04o); chmod o= mends that", path,
			 mode & S_IROTH ? "read" : "write", (unsigned)mode & 07777);
}

int config_secret_check_mode(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set(err, -EINVAL, "%s: %s", path, strerror(errno));
	return check_mode(path, st.st_mode, err);
}

/* The descriptor, or -EINVAL with `err`. */
static int open_secret(const char *path, struct error *err)
{
	struct stat st;
	cleanup(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, -EINVAL, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s: is not a regular file", path);
	return check_mode(path, st.st_mode, err) < 0 ? -EINVAL : take_fd(fd);
}

int config_secret_read(const char *path, char *secret, struct error *err)
{
	cleanup(cleanup_close) int fd = open_secret(path, err);
	size_t size = 0;
	ssize_t got;

	if (fd < 0)
		return fd;
	do {
		got = read(fd, secret + size, CONFIG_SECRET_FILE_MAX + 1 - size);
		if (got > 0)
			size += (size_t)got;
	} while (size <= CONFIG_SECRET_FILE_MAX && (got > 0 || (got < 0 && errno == EINTR)));
	if (got < 0)
		return error_set(err, -EINVAL, "%s: %s", path, strerror(errno));
	if (size > CONFIG_SECRET_FILE_MAX)
		return error_set(err, -EINVAL, "%s: is larger than %d bytes", path, CONFIG_SECRET_FILE_MAX);

	if (size > 0 && secret[size - 1] == '\n')
		size--;
	if (size > 0 && secret[size - 1] == '\r')
		size--;
	secret[size] = '\0';
	if (size == 0)
		return error_set(err, -EINVAL, "%s: is empty", path);
	if (strlen(secret) != size)
		return error_set(err, -EINVAL, "%s: contains a NUL", path);
	return 0;
}

int config_secret_read_again(const struct config_row *row, const char *path, char *secret, struct error *err)
{
	const int r = config_secret_read(path, secret, err);
	const char *objection = r == 0 && row->validate ? row->validate(secret) : NULL;

	return objection ? error_set(err, -EINVAL, "%s: its content %s", path, objection) : r;
}

int config_secret_read_customers(const char *path, char *text, struct error *err)
{
	int r = config_secret_read(path, text, err);

	if (r < 0)
		return r;
	r = customer_tokens_check(text, config_rule_token, err);
	if (r == -EINVAL)
		error_prefix(err, "%s", path);
	return r;
}

static void take_secret(struct config_loader *loader, const struct config_row *secret,
			const struct config_row *named_by, const char *path)
{
	char *content = calloc(1, CONFIG_SECRET_FILE_ROOM);
	const char *objection = NULL;
	struct error err;

	if (!content) {
		loader->out_of_memory = true;
		return;
	}
	if (!*path)
		; /* reported already: the key itself is invalid */
	else if (config_secret_read(path, content, &err) < 0)
		config_file_fault(loader, named_by, err.text);
	else if (secret->validate && (objection = secret->validate(content)))
		config_row_fault(loader, named_by, "%s: its content %s", path, objection);
	else if (config_value_set_text(secret, config_base_of(loader, secret), content) < 0)
		loader->out_of_memory = true;
	config_origin_of(loader, secret)->on = true; /* also if invalid: one fault is enough */
	explicit_bzero(content, CONFIG_SECRET_FILE_ROOM);
	free(content);
}

const char *config_secret_credential(const char *section, const char *key, char path[static PATH_MAX])
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	const int size = directory && *directory ? snprintf(path, PATH_MAX, "%s/%s.%s", directory, section, key) : 0;

	return size > 0 && size < PATH_MAX && access(path, F_OK) == 0 ? path : "";
}

/* One that the unit will get counts as given even if its file cannot be read here. */
static void take_credential(struct config_loader *loader, const struct config_row *secret)
{
	char path[PATH_MAX], room[CONFIG_SECTION_SIZE];
	const char *section = config_credential_section(loader, secret, room);
	const struct unit_credential *planned =
		loader->unit ? unit_file_credential(loader->unit, section, secret->key) : NULL;

	if (*config_secret_credential(section, secret->key, path))
		take_secret(loader, secret, secret, path);
	else if (planned && *planned->path)
		take_secret(loader, secret, secret, planned->path);
	else if (planned)
		config_origin_of(loader, secret)->on = true;
}

static void read_one(struct config_loader *loader, const struct config_row *secret)
{
	const struct config_row *file = config_row_secret_file(secret);
	const struct config_origin *value_from = config_origin_of(loader, secret);
	const struct config_origin *file_from = file ? config_origin_of(loader, file) : NULL;

	if (value_from->on && file_from && file_from->on && value_from->layer == file_from->layer) {
		config_row_fault(loader, file, "conflicts with %s; set only one of them", secret->key);
		return;
	}
	if (secret->offset == CONFIG_NO_FIELD ||
	    (loader->for_client && (loader->place || strcmp(secret->section, "redis") != 0)) ||
	    (value_from->on && (!file_from || value_from->layer >= file_from->layer)))
		return;
	if (file_from && file_from->on)
		take_secret(loader, secret, file, config_value_text(file, config_base_of(loader, file)));
	else if (!value_from->on)
		take_credential(loader, secret);
}

static void check_key_destinations(struct config_loader *loader, const struct config_row *row, const char *path,
				   const struct config_key *key)
{
	struct error why;

	for (size_t i = 0; i < key->destinations.count; i++)
		if (strcmp(key->destinations.items[i], "none") != 0 &&
		    !config_destination_is_known(loader->config, key->destinations.items[i], &why))
			config_row_fault(loader, row, "%s: the key \"%s\": %s", path, key->name, why.text);
}

/* `file`: the key's path, "" if the file may be the credential `credential`. */
static void read_keyring(struct config_loader *loader, const struct config_row *row, const char *file,
			 const char *credential, struct config_keyring **keyring)
{
	char room[PATH_MAX];
	const char *path = *file ? file : config_secret_credential(row->section, credential, room);
	const struct unit_credential *planned =
		loader->unit && !*path ? unit_file_credential(loader->unit, row->section, credential) : NULL;
	path = planned ? planned->path : path;
	struct config_key *keys;
	size_t count;
	struct error err;

	if (!*path)
		return;
	config_origin_of(loader, row)->on = true;
	const int r = config_keys_read(path, &keys, &count, &err);
	if (r == -ENOMEM)
		loader->out_of_memory = true;
	else if (r < 0)
		config_row_fault(loader, row, "%s", err.text);
	for (size_t i = 0; r == 0 && i < count; i++)
		check_key_destinations(loader, row, path, &keys[i]);
	if (r == 0 && !(*keyring = config_keyring_new(path, keys, count)))
		loader->out_of_memory = true;
}

static void take_customers(struct config_loader *loader, const struct config_row *row, const char *path)
{
	char *text = calloc(1, CONFIG_SECRET_FILE_ROOM);
	struct error err = {0};
	const int r = text ? config_secret_read_customers(path, text, &err) : -ENOMEM;

	if (r == 0)
		loader->config->cloudshark.customer_tokens = strdup(text);
	if (r == -ENOMEM || (r == 0 && !loader->config->cloudshark.customer_tokens))
		loader->out_of_memory = true;
	else if (r < 0)
		config_file_fault(loader, row, err.text);
	if (text)
		explicit_bzero(text, CONFIG_SECRET_FILE_ROOM);
	free(text);
}

static void read_customers(struct config_loader *loader)
{
	const struct config_row *row = config_row_find("cloudshark", "customer_tokens_file");
	const char *file = loader->config->cloudshark.customer_tokens_file;
	char room[PATH_MAX];
	const char *path = *file ? file : config_secret_credential(row->section, "customer_tokens", room);
	const struct unit_credential *planned =
		loader->unit && !*path ? unit_file_credential(loader->unit, row->section, "customer_tokens") : NULL;

	path = planned ? planned->path : path;
	if (*path)
		take_customers(loader, row, path);
}

static void read_keyrings(struct config_loader *loader)
{
	struct config *config = loader->config;

	read_keyring(loader, config_row_find("requests", "keys_file"), config->requests.keys_file, "keys",
		     &config->requests.keyring);
	read_keyring(loader, config_row_find("api", "alert_tokens_file"), config->api.alert_tokens_file, "alert_tokens",
		     &config->api.alert_tokens);
	read_keyring(loader, config_row_find("api", "alert_keys_file"), config->api.alert_keys_file, "alert_keys",
		     &config->api.alert_keys);
	read_keyring(loader, config_row_find("rules", "sign_key"), config->rules.sign_key, "sign_key",
		     &config->rules.keyring);
}

void config_read_secrets(struct config_loader *loader)
{
	if (!loader->for_client) {
		read_keyrings(loader);
		read_customers(loader);
	}
	for (size_t i = 0; i < config_row_count; i++)
		if (config_rows[i].type == CONFIG_SECRET)
			read_one(loader, &config_rows[i]);
	for (size_t d = 0; d < loader->config->destination_count; d++) {
		config_focus(loader, d);
		for (size_t i = 0; loader->type && i < config_row_count; i++)
			if (config_rows[i].type == CONFIG_SECRET &&
			    config_row_is_of_type(&config_rows[i], loader->type))
				read_one(loader, &config_rows[i]);
		config_unfocus(loader);
	}
}
