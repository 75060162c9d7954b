/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An attempt. A file of up to PUT_MAX bytes is one part and one PUT; a larger one is
 *
 *     create the upload → parts, several at a time → complete
 *
 * One thread reads and hashes the next part while others are sent. A part that fails for a passing reason is sent again
 * from memory. All parts have one size, chosen so that the file has at most PARTS_MAX.
 *
 * Whatever ends an attempt early aborts its multipart upload, before the attempt is over (s3_cleanup.h). If the answer
 * to "create" is lost, so is the upload's id: all uploads of the key are then looked up and aborted. A further attempt
 * writes the same key, so there is never a second file.
 */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "sink/backoff.h"
#include "sink/report_text.h"
#include "sink/s3/s3_call.h"
#include "sink/s3/s3_cleanup.h"
#include "sink/s3/s3_fill.h"
#include "sink/s3/s3_internal.h"
#include "sink/s3/xml_text.h"

#define MIB ((uint64_t)1 << 20)
#define PUT_MAX (8 * MIB)
#define PART_MIN (5 * MIB) /* S3's limit for all parts but the last */
#define PARTS_MAX 10000	   /* S3's limit */
#define PARTS_AT_A_TIME 3
#define PART_TRIES_MAX 4
#define PART_BACKOFF_NS NS_PER_S
#define PART_BACKOFF_MAX_NS (20 * NS_PER_S)
#define METADATA_MAX 1900 /* bytes; S3's limit is 2048 for all of it, names included */
#define UPLOAD_ID_SIZE 1025
#define COMPLETE_MAX (8u << 20)
#define OBJECT_HEADERS_MAX 8
#define XML_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

/* One part on its way. */
struct part {
	struct sink_attempt *attempt;
	unsigned number; /* from 1 */
	unsigned tries;
	struct s3_bytes bytes;
	struct s3_call *call;
	struct event *again;
	char number_text[12];
	struct aws_pair query[2], headers[OBJECT_HEADERS_MAX + 1];
};

/* What "complete" tells of a part. */
struct sent_part {
	char *etag;
	char sum[S3_SUM_SIZE];
};

struct sink_attempt {
	struct s3_sink *s3;
	const struct sink_file *file;
	sink_attempt_done done;
	void *ctx;
	struct byte_stream stream;
	bool stream_open;

	struct s3_target target;
	char key[S3_KEY_MAX + 1];
	struct buffer tags;
	struct aws_pair headers[OBJECT_HEADERS_MAX]; /* of the object */
	size_t header_count;

	uint64_t part_bytes;
	unsigned part_count, read_parts, sent_parts;
	struct part *parts[PARTS_AT_A_TIME];
	struct part *filling;
	struct s3_fill *fill;
	struct s3_room room;

	struct s3_call *call; /* create or complete */
	struct aws_pair query;
	char *upload_id;
	bool creating, checksums;
	struct sent_part *sent;
	struct buffer body; /* of "complete" */
	char body_hash[AWS_HASH_SIZE];

	struct event *end;
	bool ending;
	struct sink_outcome outcome;
};

static bool is_single(const struct sink_attempt *attempt)
{
	return attempt->part_count == 1;
}

/* --- the end --- */

static void part_free(struct part *part)
{
	s3_call_free(part->call);
	if (part->again)
		event_free(part->again);
	free(part->bytes.bytes);
	free(part);
}

static void drop_part(struct sink_attempt *attempt, struct part *part)
{
	const size_t size = part->bytes.size;

	for (size_t i = 0; i < PARTS_AT_A_TIME; i++)
		if (attempt->parts[i] == part)
			attempt->parts[i] = NULL;
	part_free(part);
	s3_memory_give(&attempt->s3->memory, size);
}

/* Ends everything that is under way, so that the file is not read any more. */
static void stop(struct sink_attempt *attempt)
{
	s3_fill_cancel(take(attempt->fill));
	attempt->filling = NULL;
	s3_memory_forget(&attempt->s3->memory, &attempt->room);
	for (size_t i = 0; i < PARTS_AT_A_TIME; i++)
		if (attempt->parts[i])
			drop_part(attempt, attempt->parts[i]);
	s3_call_free(take(attempt->call));
	if (attempt->stream_open)
		attempt->file->close(attempt->file->ctx, &attempt->stream);
	attempt->stream_open = false;
}

static void attempt_free(struct sink_attempt *attempt)
{
	stop(attempt);
	if (attempt->end)
		event_free(attempt->end);
	for (unsigned i = 0; attempt->sent && i < attempt->part_count; i++)
		free(attempt->sent[i].etag);
	free(attempt->sent);
	free(attempt->upload_id);
	buffer_deinit(&attempt->tags);
	buffer_deinit(&attempt->body);
	free(attempt);
}

CLEANUP_DEFINE(attempt, struct sink_attempt, attempt_free)

static void on_end(evutil_socket_t fd, short events, void *ctx)
{
	struct sink_attempt *attempt = ctx;
	const sink_attempt_done done = attempt->done;
	const struct sink_outcome outcome = attempt->outcome;
	void *done_ctx = attempt->ctx;

	(void)fd;
	(void)events;
	attempt_free(attempt);
	done(done_ctx, &outcome);
}

static void on_cleaned(void *ctx)
{
	struct sink_attempt *attempt = ctx;

	event_active(attempt->end, EV_TIMEOUT, 0);
}

/* Whether an upload may be left at the service. */
static bool needs_cleanup(const struct sink_attempt *attempt)
{
	return attempt->outcome.verdict != SINK_OK && (attempt->upload_id || attempt->creating);
}

/* Called with the outcome filled, but for its verdict and error. */
static void end(struct sink_attempt *attempt, enum sink_verdict verdict, const char *error)
{
	if (attempt->ending)
		return;
	attempt->ending = true;
	attempt->outcome.verdict = verdict;
	report_text_copy(attempt->outcome.error, sizeof(attempt->outcome.error), error);
	stop(attempt);
	if (!needs_cleanup(attempt) || s3_cleanup_start(attempt->s3->cleanup, &attempt->target, attempt->key,
							attempt->upload_id, on_cleaned, attempt) < 0)
		on_cleaned(attempt);
}

static void end_with(struct sink_attempt *attempt, const struct s3_answer *answer)
{
	const bool last = is_single(attempt) || attempt->sent_parts == attempt->part_count;
	char text[sizeof(attempt->outcome.error)];

	attempt->outcome.retry_after_ns = answer->retry_after_ns;
	snprintf(text, sizeof(text), "%.900s%s", answer->error,
		 answer->unclear && last ? "; the whole file was sent, so it may be there" : "");
	end(attempt, answer->verdict, text);
}

static void succeed(struct sink_attempt *attempt)
{
	char url[S3_KEY_MAX + 256];

	snprintf(url, sizeof(url), "s3://%.200s/%s", attempt->target.bucket, attempt->key);
	report_text_copy(attempt->outcome.url, sizeof(attempt->outcome.url), url);
	end(attempt, SINK_OK, "");
}

/* --- completing --- */

static int append_escaped(struct buffer *out, const char *text)
{
	int r = 0;

	for (; *text && r == 0; text++) {
		if (strchr("&<>\"", *text))
			r = buffer_printf(out, "&#%d;", *text);
		else
			r = buffer_append(out, text, 1);
	}
	return r;
}

static int write_list(struct sink_attempt *attempt)
{
	struct buffer *body = &attempt->body;
	int r;

	*body = (struct buffer)BUFFER_INIT(COMPLETE_MAX);
	r = buffer_append_string(body, "<CompleteMultipartUpload xmlns=\"" XML_NAMESPACE "\">");
	for (unsigned i = 0; i < attempt->part_count && r == 0; i++) {
		r = buffer_printf(body, "<Part><PartNumber>%u</PartNumber><ETag>", i + 1);
		if (r == 0)
			r = append_escaped(body, attempt->sent[i].etag);
		if (r == 0)
			r = buffer_append_string(body, "</ETag>");
		if (r == 0 && attempt->checksums)
			r = buffer_printf(body, "<ChecksumSHA256>%s</ChecksumSHA256>", attempt->sent[i].sum);
		if (r == 0)
			r = buffer_append_string(body, "</Part>");
	}
	return r < 0 ? r : buffer_append_string(body, "</CompleteMultipartUpload>");
}

static void on_completed(void *ctx, const struct s3_answer *answer)
{
	struct sink_attempt *attempt = ctx;

	if (answer->verdict == SINK_OK)
		succeed(attempt);
	else
		end_with(attempt, answer);
}

static void complete(struct sink_attempt *attempt)
{
	static const struct aws_pair headers[] = {{"content-type", "application/xml"}};

	if (write_list(attempt) < 0) {
		end(attempt, SINK_RETRY, "out of memory");
		return;
	}
	aws_hash(attempt->body.data, attempt->body.size, attempt->body_hash);
	attempt->query = (struct aws_pair){"uploadId", attempt->upload_id};
	const struct s3_request request = {
		.method = "POST",
		.target = &attempt->target,
		.key = attempt->key,
		.query = &attempt->query,
		.query_count = 1,
		.headers = headers,
		.header_count = 1,
		.body = attempt->body.data,
		.body_size = attempt->body.size,
		.body_hash = attempt->body_hash,
		.wants_answer = true,
	};
	s3_call_free(attempt->call);
	attempt->call = s3_call_start(attempt->s3->client, &request, on_completed, attempt);
	if (!attempt->call)
		end(attempt, SINK_RETRY, "out of memory");
}

/* --- parts --- */

static void read_parts(struct sink_attempt *attempt);

static void on_part_sent(void *ctx, const struct s3_answer *answer);

static int send_part(struct part *part)
{
	const struct sink_attempt *attempt = part->attempt;
	const bool single = is_single(attempt);
	struct s3_request request = {
		.method = "PUT",
		.target = &part->attempt->target,
		.key = attempt->key,
		.headers = part->headers,
		.body = part->bytes.bytes,
		.body_size = part->bytes.size,
		.body_hash = part->bytes.hash,
	};

	for (size_t i = 0; single && i < attempt->header_count; i++)
		part->headers[request.header_count++] = attempt->headers[i];
	if (single || attempt->checksums)
		part->headers[request.header_count++] = (struct aws_pair){"x-amz-checksum-sha256", part->bytes.sum};
	if (!single) {
		snprintf(part->number_text, sizeof(part->number_text), "%u", part->number);
		part->query[0] = (struct aws_pair){"partNumber", part->number_text};
		part->query[1] = (struct aws_pair){"uploadId", attempt->upload_id};
		request.query = part->query;
		request.query_count = 2;
		request.wants_etag = true;
	}
	s3_call_free(part->call);
	part->tries++;
	part->call = s3_call_start(attempt->s3->client, &request, on_part_sent, part);
	return part->call ? 0 : -ENOMEM;
}

static void on_part_again(evutil_socket_t fd, short events, void *ctx)
{
	struct part *part = ctx;

	(void)fd;
	(void)events;
	if (send_part(part) < 0)
		end(part->attempt, SINK_RETRY, "out of memory");
}

/* A single part is the whole file: another attempt sends it again. */
static bool send_part_later(struct part *part, const struct s3_answer *answer)
{
	const struct s3_sink *s3 = part->attempt->s3;
	const uint64_t first_ns = s3->options.backoff_ns ? s3->options.backoff_ns : PART_BACKOFF_NS;
	const uint64_t wait_ns = backoff_ns(first_ns, PART_BACKOFF_MAX_NS, part->tries, answer->retry_after_ns);
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000)};

	if (is_single(part->attempt) || answer->verdict != SINK_RETRY || part->tries == PART_TRIES_MAX ||
	    strcmp(answer->code, "NoSuchUpload") == 0)
		return false;
	log_debug(sink, "s3-part-again", log_str("id", part->attempt->file->id), log_uint("part", part->number),
		  log_uint("tries", part->tries), log_str("error", answer->error));
	return event_add(part->again, &wait) == 0;
}

static void on_part_sent(void *ctx, const struct s3_answer *answer)
{
	struct part *part = ctx;
	struct sink_attempt *attempt = part->attempt;
	struct sent_part *sent = &attempt->sent[part->number - 1];

	if (answer->verdict != SINK_OK) {
		if (!send_part_later(part, answer))
			end_with(attempt, answer);
		return;
	}
	if (is_single(attempt)) {
		succeed(attempt);
		return;
	}
	sent->etag = strdup(answer->etag);
	memcpy(sent->sum, part->bytes.sum, sizeof(sent->sum));
	attempt->sent_parts++;
	drop_part(attempt, part);
	if (!sent->etag)
		end(attempt, SINK_RETRY, "out of memory");
	else if (attempt->sent_parts == attempt->part_count)
		complete(attempt);
	else
		read_parts(attempt);
}

static void on_filled(void *ctx, size_t got)
{
	struct sink_attempt *attempt = ctx;
	struct part *part = take(attempt->filling);

	attempt->fill = NULL;
	if (got < part->bytes.size) {
		end(attempt, SINK_REFUSED, "the file ended early");
		return;
	}
	if (send_part(part) < 0)
		end(attempt, SINK_RETRY, "out of memory");
	else
		read_parts(attempt);
}

static size_t next_size(const struct sink_attempt *attempt)
{
	const uint64_t left = attempt->stream.size_bytes - attempt->read_parts * attempt->part_bytes;

	return (size_t)(left < attempt->part_bytes ? left : attempt->part_bytes);
}

/* Called with memory for the part granted. */
static int add_part(struct sink_attempt *attempt)
{
	struct part *part = calloc(1, sizeof(*part));
	size_t slot = 0;

	while (attempt->parts[slot])
		slot++;
	assert(slot < PARTS_AT_A_TIME);
	if (!part) {
		s3_memory_give(&attempt->s3->memory, next_size(attempt));
		return -ENOMEM;
	}
	attempt->parts[slot] = part;
	part->attempt = attempt;
	part->bytes.size = next_size(attempt);
	part->number = ++attempt->read_parts;
	part->bytes.bytes = malloc(part->bytes.size + 1);
	part->again = evtimer_new(attempt->s3->loop, on_part_again, part);
	if (!part->bytes.bytes || !part->again)
		return -ENOMEM;
	attempt->filling = part;
	attempt->fill = s3_fill_start(attempt->s3->threads, &attempt->stream, &part->bytes, on_filled, attempt);
	return attempt->fill ? 0 : -ENOMEM;
}

static void on_memory(void *ctx)
{
	struct sink_attempt *attempt = ctx;

	if (add_part(attempt) < 0)
		end(attempt, SINK_RETRY, "out of memory");
}

/* Reads the next part unless one is being read, memory is waited for, or enough are on their way. */
static void read_parts(struct sink_attempt *attempt)
{
	size_t under_way = 0;

	for (size_t i = 0; i < PARTS_AT_A_TIME; i++)
		under_way += attempt->parts[i] != NULL;
	if (attempt->ending || attempt->filling || attempt->room.waiting || under_way == PARTS_AT_A_TIME ||
	    attempt->read_parts == attempt->part_count)
		return;
	attempt->room.size = next_size(attempt);
	if (s3_memory_take(&attempt->s3->memory, &attempt->room))
		on_memory(attempt);
}

/* --- creating --- */

static void on_created(void *ctx, const struct s3_answer *answer)
{
	struct sink_attempt *attempt = ctx;
	char upload_id[UPLOAD_ID_SIZE];

	if (answer->verdict != SINK_OK) {
		if (!answer->unclear)
			attempt->creating = false;
		end_with(attempt, answer);
		return;
	}
	if (!xml_text(answer->body, "UploadId", upload_id, sizeof(upload_id)) || !*upload_id) {
		end(attempt, SINK_RETRY, "the answer holds no upload id");
		return;
	}
	attempt->creating = false;
	attempt->checksums = strcasecmp(answer->checksum, "SHA256") == 0;
	attempt->upload_id = strdup(upload_id);
	if (attempt->upload_id)
		read_parts(attempt);
	else
		end(attempt, SINK_RETRY, "out of memory");
}

static int create(struct sink_attempt *attempt)
{
	attempt->query = (struct aws_pair){"uploads", ""};
	attempt->headers[attempt->header_count++] = (struct aws_pair){"x-amz-checksum-algorithm", "SHA256"};
	attempt->creating = true;
	const struct s3_request request = {
		.method = "POST",
		.target = &attempt->target,
		.key = attempt->key,
		.query = &attempt->query,
		.query_count = 1,
		.headers = attempt->headers,
		.header_count = attempt->header_count,
		.body_hash = AWS_EMPTY_HASH,
		.wants_answer = true,
	};
	attempt->call = s3_call_start(attempt->s3->client, &request, on_created, attempt);
	return attempt->call ? 0 : -ENOMEM;
}

/* --- starting --- */

/* What the request sets, or the configuration. */
struct choice {
	const char *endpoint, *region, *bucket, *folder, *acl, *encryption;
};

/* Fills what the request may set. The name of what it may not, or NULL. */
static const char *choose(const struct s3_sink *s3, const struct sink_overrides *wanted, struct choice *choice)
{
	const struct s3_sink_options *own = &s3->options;
	const struct {
		const char *name, *wanted, *own, **into;
		enum s3_override allowed;
	} fields[] = {
		{"bucket", wanted->bucket, own->bucket, &choice->bucket, S3_OVERRIDE_BUCKET},
		{"folder", wanted->folder, own->folder, &choice->folder, S3_OVERRIDE_FOLDER},
		{"region", wanted->region, own->region, &choice->region, S3_OVERRIDE_REGION},
		{"endpoint", wanted->endpoint, own->endpoint, &choice->endpoint, S3_OVERRIDE_ENDPOINT},
		{"acl", wanted->acl, own->acl, &choice->acl, S3_OVERRIDE_ACL},
		{"encryption", wanted->encryption, own->encryption, &choice->encryption, S3_OVERRIDE_ENCRYPTION},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (fields[i].wanted && !(own->overrides & fields[i].allowed))
			return fields[i].name;
		*fields[i].into = fields[i].wanted ? fields[i].wanted : fields[i].own;
	}
	return NULL;
}

static void add_header(struct sink_attempt *attempt, const char *name, const char *value)
{
	if (*value)
		attempt->headers[attempt->header_count++] = (struct aws_pair){name, value};
}

static int add_headers(struct sink_attempt *attempt, const struct choice *choice)
{
	const char *encryption = strcmp(choice->encryption, "none") == 0 ? "" : choice->encryption;

	attempt->tags = (struct buffer)BUFFER_INIT(METADATA_MAX + 1);
	if (s3_metadata(&attempt->tags, attempt->file->tags ? attempt->file->tags : "", METADATA_MAX) < 0)
		return -ENOMEM;
	add_header(attempt, "content-type", "application/octet-stream");
	add_header(attempt, "x-amz-meta-tags", buffer_text(&attempt->tags));
	add_header(attempt, "x-amz-acl", choice->acl);
	add_header(attempt, "x-amz-server-side-encryption", encryption);
	if (strncmp(encryption, "aws:kms", 7) == 0)
		add_header(attempt, "x-amz-server-side-encryption-aws-kms-key-id", attempt->s3->options.kms_key);
	return 0;
}

static void choose_parts(struct sink_attempt *attempt)
{
	const uint64_t size = attempt->stream.size_bytes;
	const uint64_t smallest = (size / PARTS_MAX / MIB + 1) * MIB;

	attempt->part_bytes = smallest > PART_MIN ? smallest : PART_MIN;
	if (size <= PUT_MAX)
		attempt->part_bytes = size ? size : 1;
	attempt->part_count = size ? (unsigned)((size + attempt->part_bytes - 1) / attempt->part_bytes) : 1;
}

/* 0, or -errno: nothing was started. */
static int begin(struct sink_attempt *attempt)
{
	struct choice choice;
	const char *refused = choose(attempt->s3, &attempt->file->overrides, &choice);
	char text[256];

	if (refused) {
		snprintf(text, sizeof(text), "%s: not allowed: not listed in allow_override of %.64s", refused,
			 attempt->s3->sink.name);
		end(attempt, SINK_REFUSED, text);
		return 0;
	}
	attempt->target = (struct s3_target){.endpoint = choice.endpoint,
					     .bucket = choice.bucket,
					     .style = attempt->s3->options.style};
	snprintf(attempt->target.region, sizeof(attempt->target.region), "%s", choice.region);
	if (s3_key(attempt->key, choice.folder, attempt->file->name) < 0) {
		end(attempt, SINK_REFUSED, "folder and file name are longer than S3 allows (1024 bytes)");
		return 0;
	}
	choose_parts(attempt);
	attempt->sent = calloc(attempt->part_count, sizeof(*attempt->sent));
	if (!attempt->sent || add_headers(attempt, &choice) < 0)
		return -ENOMEM;
	if (!is_single(attempt))
		return create(attempt);
	read_parts(attempt);
	return 0;
}

struct sink_attempt *s3_upload_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done, void *ctx)
{
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->s3 = container_of(sink, struct s3_sink, sink);
	attempt->file = file;
	attempt->done = done;
	attempt->ctx = ctx;
	attempt->outcome.verdict = SINK_RETRY; /* as long as it has not ended */
	attempt->room = (struct s3_room){.granted = on_memory, .ctx = attempt};
	attempt->end = event_new(attempt->s3->loop, -1, 0, on_end, attempt);
	attempt->stream_open = file->open(file->ctx, &attempt->stream);
	if (!attempt->stream_open || !attempt->end || begin(attempt) < 0)
		return NULL;
	return take(attempt);
}

bool s3_upload_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	struct s3_sink *s3 = container_of(sink, struct s3_sink, sink);
	const bool ended = attempt->ending;

	if (ended) {
		*outcome = attempt->outcome;
		s3_cleanup_forget(s3->cleanup, attempt);
	} else if (needs_cleanup(attempt)) {
		stop(attempt);
		(void)!s3_cleanup_start(s3->cleanup, &attempt->target, attempt->key, attempt->upload_id, NULL, NULL);
	}
	attempt_free(attempt);
	return ended;
}
