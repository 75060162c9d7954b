/* SPDX-License-Identifier: BSD-2-Clause */
/* The addresses of inputs: "/path" of a unix socket, or "host:port" with a numeric host, IPv6 in brackets. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/error.h"

struct input_address {
	struct sockaddr_storage socket;
	socklen_t size;
	bool is_path;
};

/* 0, or -EINVAL with `err`. */
warn_unused int input_address_parse(const char *text, struct input_address *address, struct error *err);

/* A socket of the type, bound to the address; a unix socket that is there already is replaced. Owner and group may
 * write to it. The descriptor, or -errno with `err`. */
warn_unused int input_address_bind(const struct input_address *address, int type, const char *text, struct error *err);

/* Removes the unix socket, if it is one. */
void input_address_remove(const struct input_address *address);
