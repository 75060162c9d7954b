/* SPDX-License-Identifier: BSD-2-Clause */
/* The sink's life; s3_upload.c has an attempt's. */
#include "sink/s3/s3_sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/offload.h"
#include "http/http_client.h"
#include "sink/s3/aws_credentials.h"
#include "sink/s3/s3_call.h"
#include "sink/s3/s3_cleanup.h"
#include "sink/s3/s3_internal.h"

#define THREADS 2
#define TASKS_MAX 64
#define REGION_DEFAULT "us-east-1"

static void s3_free(struct sink *sink)
{
	struct s3_sink *s3 = container_of(sink, struct s3_sink, sink);
	const char *texts[] = {s3->sink.name,	   s3->options.endpoint, s3->options.region,	 s3->options.bucket,
			       s3->options.folder, s3->options.acl,	 s3->options.encryption, s3->options.kms_key};

	s3_cleanup_free(s3->cleanup);
	s3_client_free(s3->client);
	offload_free(s3->threads);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		free((void *)(uintptr_t)texts[i]);
	free(s3);
}

static bool s3_is_busy(const struct sink *sink)
{
	const struct s3_sink *s3 = container_of(sink, const struct s3_sink, sink);

	return s3_cleanup_is_busy(s3->cleanup);
}

static const char *s3_address(const struct sink *sink)
{
	const struct s3_sink *s3 = container_of(sink, const struct s3_sink, sink);

	return s3->address;
}

static const struct sink_class s3_class = {
	.start = s3_upload_start,
	.cancel = s3_upload_cancel,
	.free = s3_free,
	.is_busy = s3_is_busy,
	.address = s3_address,
};

/* --- options --- */

enum s3_style s3_style(const char *path_style)
{
	if (!*path_style)
		return S3_STYLE_AUTO;
	return strcmp(path_style, "true") == 0 ? S3_STYLE_PATH : S3_STYLE_HOST;
}

const char *s3_encryption(const char *encryption)
{
	if (strcmp(encryption, "true") == 0)
		return "AES256";
	return strcmp(encryption, "false") == 0 ? "" : encryption;
}

unsigned s3_overrides(char *const *fields, size_t count)
{
	static const char *const names[] = {"bucket", "folder", "region", "endpoint", "acl", "encryption"};
	unsigned overrides = 0;

	for (size_t i = 0; i < count; i++)
		for (unsigned bit = 0; bit < sizeof(names) / sizeof(*names); bit++)
			overrides |= strcmp(fields[i], names[bit]) == 0 ? 1u << bit : 0;
	return overrides;
}

/* The configured region, or the environment's. */
static const char *region_of(const struct s3_sink_options *options)
{
	const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};

	if (options->region && *options->region)
		return options->region;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *region = getenv(names[i]);

		if (region && s3_is_region(region))
			return region;
	}
	return REGION_DEFAULT;
}

/* Copies a text; NULL counts as "". */
static bool copy(const char **text, const char *from)
{
	*text = strdup(from ? from : "");
	return *text;
}

static bool copy_options(struct s3_sink *s3, const char *name, const struct s3_sink_options *options)
{
	struct s3_sink_options *own = &s3->options;

	*own = (struct s3_sink_options){
		.style = options->style,
		.overrides = options->overrides,
		.backoff_ns = options->backoff_ns,
	};
	s3->sink.name = strdup(name);
	return s3->sink.name && copy(&own->endpoint, options->endpoint) && copy(&own->region, region_of(options)) &&
	       copy(&own->bucket, options->bucket) && copy(&own->folder, options->folder) &&
	       copy(&own->acl, options->acl) && copy(&own->encryption, options->encryption) &&
	       copy(&own->kms_key, options->kms_key);
}

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

struct sink *s3_sink_new(struct event_base *loop, const char *name, const struct s3_sink_options *options)
{
	struct s3_sink *s3 = calloc(1, sizeof(*s3));
	const struct http_client_options http = {
		.verify = options->verify,
		.ca_file = options->ca_file,
		.min_speed = options->min_speed,
		.window_ns = options->window_ns,
	};

	if (!s3)
		return NULL;
	s3->sink.class = &s3_class;
	s3->loop = loop;
	s3_memory_init(&s3->memory);
	const bool copied = copy_options(s3, name, options);
	snprintf(s3->address, sizeof(s3->address), "s3://%s%s%s", copied ? s3->options.bucket : "",
		 copied && *s3->options.endpoint ? " at " : "", copied ? s3->options.endpoint : "");
	const struct aws_credentials_options credentials = {
		.id = text_or_empty(options->access_id),
		.secret = options->access_key,
		.token = options->session_token,
		.file = text_or_empty(options->credentials_file),
		.profile = text_or_empty(options->profile),
		.region = text_or_empty(s3->options.region),
	};
	s3->client = copied ? s3_client_new(loop, &http, &credentials) : NULL;
	s3->cleanup = s3->client ? s3_cleanup_new(loop, s3->client) : NULL;
	s3->threads = offload_new(loop, "s3", THREADS, TASKS_MAX);
	if (!s3->cleanup || !s3->threads) {
		s3_free(&s3->sink);
		return NULL;
	}
	return &s3->sink;
}
