/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file as the body of an upload by libcurl, which pulls the bytes out of the capture's memory while it sends them.
 * The size is known beforehand, so there is a Content-Length and no second copy. One thread at a time.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_stream.h"
#include "base/cleanup.h"
#include "base/name_template.h"

struct sink_file;

/* Embedded in an attempt; zeroed before use. */
struct upload_body {
	const struct sink_file *file;
	struct byte_stream stream; /* while `open` */
	bool open;
	uint64_t sent_bytes; /* of the stream, on the current connection */
	unsigned copies;     /* times it was sent whole on a connection that was lost before an answer came */
};

/* Opens a stream of the file, which must outlive the body. False on ENOMEM. */
warn_unused bool upload_body_open(struct upload_body *body, const struct sink_file *file);
void upload_body_close(struct upload_body *body); /* at any time, also twice */

/* Whether libcurl has taken all bytes for the current connection. */
bool upload_body_sent_whole(const struct upload_body *body);

/* For CURLOPT_READFUNCTION, CURLOPT_SEEKFUNCTION and curl_mime_data_cb(); `ctx` is the body. */
size_t upload_body_read(char *into, size_t size, size_t count, void *ctx);
int upload_body_seek(void *ctx, curl_off_t offset, int origin);

/* Makes the transfer an upload of the body (PUT). 0, or another CURLcode. */
int upload_body_set(struct upload_body *body, CURL *easy);

/* What the file's name may be made of. The values are the file's own. */
struct name_values sink_file_names(const struct sink_file *file);
