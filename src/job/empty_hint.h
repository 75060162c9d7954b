/* SPDX-License-Identifier: BSD-2-Clause */
/* Says in a sentence why a capture has no packet, for its final event. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "capture/consumer.h"

#define EMPTY_HINT_SIZE 512

/* An interface that was not simply up. */
struct empty_hint_interface {
	const char *name;
	enum interface_state state;
};

struct empty_hint {
	const char *interface;	 /* the capture's, joined */
	const char *bpf, *inner; /* NULL: none */
	uint64_t seen;		 /* packets that passed */
	uint64_t from_ns, to_ns; /* the window that was covered */
	bool out_of_reach;	 /* nothing of the requested window is left */
	bool retention_may_hide;
	const struct empty_hint_interface *interfaces;
	size_t interface_count;
};

/* Returns `text`, cut to its size. */
const char *empty_hint_text(const struct empty_hint *hint, char text[static EMPTY_HINT_SIZE]);
