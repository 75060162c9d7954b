/* SPDX-License-Identifier: BSD-2-Clause */
/* The file's stamp is taken before it is read: if it is replaced in between, the next look finds another stamp. */
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file_stamp.h"
#include "base/log.h"

struct secret {
	char *value;
	char *previous; /* NULL: none */
	char *path;	/* NULL: none */
	secret_reader read;
	const void *ctx;
	struct file_stamp stamp;
	unsigned generation;
};

static void free_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

struct secret *secret_new(const char *value, const char *path, secret_reader read, const void *ctx)
{
	cleanup(cleanup_secret) struct secret *secret = calloc(1, sizeof(*secret));

	if (!secret)
		return NULL;
	secret->read = read;
	secret->ctx = ctx;
	secret->value = strdup(value ? value : "");
	if (path && *path)
		secret->path = strdup(path);
	if (!secret->value || (path && *path && !secret->path))
		return NULL;
	return take(secret);
}

void secret_free(struct secret *secret)
{
	if (!secret)
		return;
	free_text(secret->value);
	free_text(secret->previous);
	free(secret->path);
	free(secret);
}

static void read_again(struct secret *secret)
{
	char *text = calloc(1, SECRET_ROOM), *value = NULL;
	struct error err;

	if (!text)
		return;
	if (secret->read(secret->ctx, secret->path, text, &err) < 0) {
		log_warning("secret-unread", log_str("error", err.text));
	} else if (strcmp(text, secret->value) != 0 && (value = strdup(text))) {
		free_text(secret->previous);
		secret->previous = secret->value;
		secret->value = value;
		secret->generation++;
		log_notice("secret-changed", log_str("file", secret->path));
	}
	explicit_bzero(text, SECRET_ROOM);
	free(text);
}

const char *secret_get(struct secret *secret)
{
	const struct file_stamp stamp = file_stamp_read(secret->path);

	if (secret->path && !file_stamp_equal(&stamp, &secret->stamp)) {
		secret->stamp = stamp;
		read_again(secret);
	}
	return secret->value;
}

bool secret_is_in(const struct secret *secret, const char *text)
{
	return (*secret->value && strstr(text, secret->value)) ||
	       (secret->previous && *secret->previous && strstr(text, secret->previous));
}

unsigned secret_generation(const struct secret *secret)
{
	return secret->generation;
}
