/* SPDX-License-Identifier: BSD-2-Clause */
/* libcurl asks for bytes from the start on, and goes back to the start if it must send again on another connection. */
#include "sink/upload_body.h"

#include <stdio.h>

#include "sink/sink.h"

bool upload_body_open(struct upload_body *body, const struct sink_file *file)
{
	*body = (struct upload_body){.file = file};
	body->open = file->open(file->ctx, &body->stream);
	return body->open;
}

void upload_body_close(struct upload_body *body)
{
	if (body->open)
		body->file->close(body->file->ctx, &body->stream);
	body->open = false;
}

bool upload_body_sent_whole(const struct upload_body *body)
{
	return body->sent_bytes == body->stream.size_bytes;
}

/* A stream that is shorter than its size would leave the server waiting: abort. */
size_t upload_body_read(char *into, size_t size, size_t count, void *ctx)
{
	struct upload_body *body = ctx;
	const uint64_t left = body->stream.size_bytes - body->sent_bytes;
	const size_t room = size * count;
	size_t got;

	if (left == 0)
		return 0;
	got = body->stream.read(body->stream.ctx, (uint8_t *)into, left < room ? (size_t)left : room);
	body->sent_bytes += got;
	return got ? got : CURL_READFUNC_ABORT;
}

int upload_body_seek(void *ctx, curl_off_t offset, int origin)
{
	struct upload_body *body = ctx;

	if (origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_CANTSEEK;
	body->copies += upload_body_sent_whole(body);
	body->stream.rewind(body->stream.ctx);
	body->sent_bytes = 0;
	return CURL_SEEKFUNC_OK;
}

int upload_body_set(struct upload_body *body, CURL *easy)
{
	if (body->stream.size_bytes > INT64_MAX)
		return CURLE_BAD_FUNCTION_ARGUMENT;
	return curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) |
	       curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body->stream.size_bytes) |
	       curl_easy_setopt(easy, CURLOPT_READFUNCTION, upload_body_read) |
	       curl_easy_setopt(easy, CURLOPT_READDATA, body) |
	       curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, upload_body_seek) |
	       curl_easy_setopt(easy, CURLOPT_SEEKDATA, body);
}

struct name_values sink_file_names(const struct sink_file *file)
{
	return (struct name_values){
		.node = file->node,
		.interface = file->interface,
		.customer = file->customer,
		.id = file->id,
		.capture = file->capture,
		.name = file->name,
		.tags = file->tags,
		.comment = file->comment,
		.time_ns = file->time_ns,
	};
}
