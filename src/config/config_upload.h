/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks across the settings of uploads to HTTP and SFTP servers, whether of a section or of a [[destination]]. */
#pragma once

#include <stdbool.h>

struct config_http;
struct config_sftp;

/*
 * The reason why the settings cannot work, and the key to name it at; NULL: they can. `used`: files go there, so
 * nothing may be missing.
 */
const char *config_http_objection(const struct config_http *http, bool used, const char **key);
const char *config_sftp_objection(const struct config_sftp *sftp, bool used, const char **key);

/* The same for what works, but hardly as it was meant. */
const char *config_http_warning(const struct config_http *http, const char **key);
const char *config_sftp_warning(const struct config_sftp *sftp, const char **key);
