/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: one PUT or POST of the file to a URL, by libcurl on the loop. Tokens, passwords and secrets in the URL never
 * reach a log, an event or an error text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct secret;
struct sink;

/* URL, headers and fields may have placeholders (base/name_template.h), without objections to them. */
struct http_sink_options {
	struct secret *url;	 /* http:// or https:// */
	struct secret *token;	 /* "": none */
	const char *username;	 /* "": none */
	struct secret *password; /* of the user */
	bool post;		 /* else PUT */
	const char
		*form_field; /* POST: of multipart/form-data, the name of the file's part; "": the body is the file */
	char *const *forms;  /* "name=value": more fields of the form, sent before the file */
	size_t form_count;
	char *const *headers; /* "Name: value"; "Name:" takes away one that is sent otherwise */
	size_t header_count;
	const char *cert_file, *key_file; /* the client's, PEM; "": none */
	const char *ca_file;		  /* "": the system's authorities */
	bool verify;			  /* TLS: certificate and host name */
	uint64_t timeout_ns;		  /* for one upload; 0: none (a slow one still ends) */
	uint64_t min_speed;		  /* bytes a second, over any window; 0: 1 KiB/s */
	uint64_t window_ns;		  /* 0: 60 s */
};

/* Name and options are copied, except for the secrets, which must outlive the sink. NULL on ENOMEM. */
struct sink *http_sink_new(struct event_base *loop, const char *name, const struct http_sink_options *options);
