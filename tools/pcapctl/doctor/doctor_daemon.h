/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon on this host, by what its control API tells. */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"

struct config;
struct findings;

/*
 * Asks the daemon at `socket`; `config` NULL: not known. Returns its interfaces (the caller's), NULL if it does not
 * answer.
 */
json_t *doctor_daemon(struct findings *findings, const char *socket, const struct config *config);

/* Judges the answers of GET /v1/status and GET /v1/interfaces. */
void doctor_status(struct findings *findings, const json_t *status, const json_t *interfaces,
		   const struct config *config);
