/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The access key that signs requests, and its renewal. Sources, in this order; the first that has a key counts:
 *
 *     configuration   id and secret, the latter and the session token perhaps from files
 *     environment     AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *     shared file     a profile of AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials
 *     web identity    AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, exchanged at STS
 *     container       AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI
 *     instance        EC2's metadata service, version 2
 *
 * All calls on the loop's thread; none blocks, files are read on a thread of their own.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

#include "base/cleanup.h"

struct aws_credentials;
struct aws_key;
struct event_base;
struct secret;

#define AWS_WAITERS_MAX 256

struct aws_credentials_options {
	const char *id;		       /* "": none is configured */
	struct secret *secret, *token; /* not copied, must outlive this; NULL: none */
	const char *file, *profile;    /* "": the usual ones */
	const char *region;	       /* STS's, unless the environment names its URL */
};

/* Embedded by a caller that waits. */
struct aws_waiter {
	void (*done)(void *ctx, const char *error); /* from the loop; NULL: there is a key. May free the waiter */
	void *ctx;
	bool waiting; /* private, as is the list */
	TAILQ_ENTRY(aws_waiter) list;
};

/* Texts are copied. NULL on ENOMEM. */
struct aws_credentials *aws_credentials_new(struct event_base *loop, const struct aws_credentials_options *options);
void aws_credentials_free(struct aws_credentials *credentials); /* calls no waiter */

/* The key now, or NULL: wait for one. Valid until the loop goes on. */
const struct aws_key *aws_credentials_get(struct aws_credentials *credentials);

/* Calls the waiter once a key was found or the search has failed. 0, or -ENOBUFS: too many wait. */
warn_unused int aws_credentials_wait(struct aws_credentials *credentials, struct aws_waiter *waiter);
void aws_credentials_forget(struct aws_credentials *credentials,
			    struct aws_waiter *waiter); /* also if it does not wait */

/* How often the key has changed. */
unsigned aws_credentials_generation(const struct aws_credentials *credentials);

/* The service refused the key of this generation. True: there is another one, or may be after a wait. */
bool aws_credentials_reject(struct aws_credentials *credentials, unsigned generation);

/* A copy of `text` without the secrets of the current key and the one before. NULL on ENOMEM. */
warn_unused char *aws_credentials_scrub(const struct aws_credentials *credentials, const char *text);

CLEANUP_DEFINE(aws_credentials, struct aws_credentials, aws_credentials_free)
