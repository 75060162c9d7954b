/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tries all destinations: one attempt each, at once, to deliver a tiny pcapng file without packets. Retries, limits and
 * breakers have no say; a success closes a breaker. The file's name has "destination-check" where those of captures
 * have the interface. It is removed again where the type can. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deliveries;
struct destination_check;
struct event_base;

#define DESTINATION_CHECK_TIMEOUT_NS UINT64_C(20000000000)

struct destination_check_result {
	const char *name, *type, *address; /* address: "": none */
	bool ok;
	bool removed;	     /* the file is gone again */
	const char *url;     /* NULL: none */
	const char *error;   /* NULL: none */
	const char *hint;    /* what to do about the error; NULL: there is none */
	const char *warning; /* of a success; NULL: none */
	uint64_t took_ns;
};

/* Called once, from the loop; the check and its results are freed afterwards. */
typedef void (*destination_check_done)(void *ctx, const struct destination_check_result *results, size_t count);

struct destination_check_options {
	const char *node;    /* for the file's name */
	uint64_t timeout_ns; /* for each; 0: DESTINATION_CHECK_TIMEOUT_NS */
};

/* NULL on ENOMEM. */
struct destination_check *destination_check_start(struct event_base *loop, struct deliveries *deliveries,
						  const struct destination_check_options *options,
						  destination_check_done done, void *ctx);

/* `done` is not called. The deliveries must still exist. */
void destination_check_cancel(struct destination_check *check);
