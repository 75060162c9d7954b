/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An upload is one POST of multipart/form-data. libcurl pulls the part `file` out of the capture's memory while it
 * sends it (the size is known beforehand, so there is a Content-Length and no second copy). The fields
 * `additional_tags` and `comments` are sent unless empty.
 *
 * A 2xx status is success once the whole file was sent, with a link if the answer holds an id, else with a warning:
 * CloudShark has the file, and a second upload would only duplicate it. http_verdict() decides about every other
 * answer.
 *
 * The token is part of the URL, so it may come back in libcurl's messages, in a redirect, or in a server's text about
 * the request. Every such text is scrubbed of it, both plain and percent-encoded, before it is cut to size.
 */
#include "sink/cloudshark_sink.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/buffer.h"
#include "base/container_of.h"
#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "http/http_client.h"
#include "sink/http_verdict.h"
#include "sink/report_text.h"
#include "sink/sink.h"

#define REASONS_MAX (2 * HTTP_REPLY_BYTES_MAX) /* bytes of exception texts taken from one answer */
#define ID_MAX 128			       /* bytes of a capture's id */

#define TOKENS 2

#define ANSWER_UNREADABLE \
	"the upload was accepted, but the answer holds no capture id, so the file's address is unknown"
#define ANSWER_CUT "the upload was accepted, but the answer broke off, so the file's address is unknown"

/* Two spellings to hide from texts. */
struct token {
	char *text;    /* as configured */
	char *encoded; /* as in the URL */
};

struct cloudshark_sink {
	struct sink sink;
	struct http_client *client;
	char *base_url;			    /* scheme://host[:port] */
	struct secret *secret, *own_secret; /* own_secret: to be freed, or NULL */
	unsigned generation;		    /* of `secret`, for which these were made */
	char *upload_url;		    /* holds the token */
	struct token tokens[TOKENS];	    /* the current one, and one that uploads under way may use */
};

struct sink_attempt {
	struct cloudshark_sink *cloudshark;
	const struct sink_file *file;
	bool stream_open;
	struct byte_stream stream;
	uint64_t sent_bytes; /* of the stream */
	unsigned generation; /* of the token */
	unsigned copies;     /* sent whole on connections that were lost before an answer came */
	struct http_transfer *transfer;
	curl_mime *form;
	struct curl_slist *headers;
	sink_attempt_done done;
	void *ctx;
};

CLEANUP_DEFINE(json, json_t, json_decref)

/* --- the token --- */

static void free_secret(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void free_token(struct token *token)
{
	free_secret(take(token->text));
	free_secret(take(token->encoded));
}

static char *percent_encode(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *encoded = calloc(3, strlen(text) + 1), *end = encoded;

	for (; encoded && *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (isascii(byte) && (isalnum(byte) || strchr("-._~", byte))) {
			*end++ = (char)byte;
			continue;
		}
		*end++ = '%';
		*end++ = digits[byte >> 4];
		*end++ = digits[byte & 15];
	}
	return encoded;
}

/* Takes the token as it is now. 0 or -ENOMEM: all stays as it was. */
static int take_token(struct cloudshark_sink *cloudshark)
{
	const char *text = secret_get(cloudshark->secret);
	struct token token = {.text = strdup(text)};
	char *url = NULL;

	if (token.text)
		token.encoded = percent_encode(token.text);
	if (!token.encoded || asprintf(&url, "%s/api/v1/%s/upload", cloudshark->base_url, token.encoded) < 0) {
		free_token(&token);
		return -ENOMEM;
	}
	free_token(&cloudshark->tokens[TOKENS - 1]);
	cloudshark->tokens[1] = cloudshark->tokens[0];
	cloudshark->tokens[0] = token;
	free_secret(cloudshark->upload_url);
	cloudshark->upload_url = url;
	cloudshark->generation = secret_generation(cloudshark->secret);
	return 0;
}

/* Takes a token that has changed. */
static void renew_token(struct cloudshark_sink *cloudshark)
{
	(void)secret_get(cloudshark->secret);
	if (secret_generation(cloudshark->secret) != cloudshark->generation)
		(void)!take_token(cloudshark);
}

/* --- the answer --- */

/* Copies foreign text into a field of the outcome: scrubbed, valid UTF-8, cut to size. */
static void put_scrubbed(const struct cloudshark_sink *cloudshark, char *into, size_t room, const char *text)
{
	char *scrubbed = strdup(text);

	for (size_t i = 0; i < TOKENS && scrubbed; i++) {
		const char *const spellings[] = {cloudshark->tokens[i].text, cloudshark->tokens[i].encoded};

		for (size_t j = 0; j < 2 && scrubbed && spellings[j]; j++) {
			char *before = scrubbed;

			scrubbed = report_text_scrub(before, spellings[j]);
			free(before);
		}
	}
	report_text_copy(into, room, scrubbed ? scrubbed : "out of memory");
	free(scrubbed);
}

/* Joins all texts in `exceptions` with "; ", up to the cap. */
static void collect_exceptions(const json_t *answer, struct buffer *reasons)
{
	const json_t *exceptions = json_object_get(answer, "exceptions"), *exception;
	size_t index;

	json_array_foreach(exceptions, index, exception)
	{
		cleanup(cleanup_free) char *dumped = json_is_string(exception) ? strdup(json_string_value(exception))
									       : json_dumps(exception, JSON_ENCODE_ANY);

		if (dumped && buffer_printf(reasons, "%s%s", reasons->size ? "; " : "", dumped) < 0)
			return;
	}
	if (json_is_string(exceptions))
		(void)!buffer_append_string(reasons, json_string_value(exceptions));
}

static void describe_failure(const struct cloudshark_sink *cloudshark, const struct http_reply *reply,
			     struct sink_outcome *outcome)
{
	cleanup(cleanup_json) json_t *answer = json_loadb(reply->body, reply->body_size, 0, NULL);
	cleanup(buffer_deinit) struct buffer reasons = BUFFER_INIT(REASONS_MAX), text = BUFFER_INIT(2 * REASONS_MAX);
	int r;

	collect_exceptions(answer, &reasons);
	if (reply->status == 0)
		r = buffer_append_string(&text, reply->error);
	else if (reply->status >= 300 && reply->status < 400)
		r = buffer_printf(&text,
				  "HTTP %ld: redirected to %.2048s; redirects are not followed, configure that address",
				  reply->status, reply->redirect ? reply->redirect : "nowhere");
	else if (reasons.size)
		r = buffer_printf(&text, "HTTP %ld: %s", reply->status, reasons.data);
	else if (reply->error[0])
		r = buffer_printf(&text, "HTTP %ld: %s", reply->status, reply->error);
	else
		r = buffer_printf(&text, "HTTP %ld", reply->status);
	put_scrubbed(cloudshark, outcome->error, sizeof(outcome->error), r < 0 ? "out of memory" : buffer_text(&text));
}

static bool is_safe_id(const char *id)
{
	size_t length = strlen(id);

	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr("_-", id[i]))
			return false;
	return length > 0 && length <= ID_MAX;
}

/* Reads the capture's id from {"filename":…,"id":…}; false if there is none that is safe in a link. */
static bool read_id(const struct http_reply *reply, char id[static ID_MAX + 1])
{
	cleanup(cleanup_json) json_t *answer = json_loadb(reply->body, reply->body_size, 0, NULL);
	const json_t *value = json_object_get(answer, "id");

	if (json_is_integer(value)) {
		snprintf(id, ID_MAX + 1, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return true;
	}
	if (!json_is_string(value) || !is_safe_id(json_string_value(value)))
		return false;
	snprintf(id, ID_MAX + 1, "%s", json_string_value(value));
	return true;
}

static void evaluate_reply(const struct sink_attempt *attempt, const struct http_reply *reply,
			   struct sink_outcome *outcome)
{
	const struct cloudshark_sink *cloudshark = attempt->cloudshark;
	const bool sent_whole = attempt->sent_bytes == attempt->stream.size_bytes;
	cleanup(buffer_deinit) struct buffer link = BUFFER_INIT(sizeof(outcome->url));
	char id[ID_MAX + 1];

	outcome->verdict = http_verdict(reply, sent_whole);
	outcome->retry_after_ns = reply->retry_after_ns;
	if (outcome->verdict != SINK_OK) {
		describe_failure(cloudshark, reply, outcome);
		outcome->copies = reply->status ? 0 : attempt->copies + sent_whole;
	} else if (!read_id(reply, id)) {
		report_text_copy(outcome->warning, sizeof(outcome->warning),
				 reply->result == CURLE_OK || http_reply_oversized(reply) ? ANSWER_UNREADABLE
											  : ANSWER_CUT);
		log_warning("upload-without-link", log_str("request", attempt->file->id),
			    log_str("file", attempt->file->name), log_int("status", reply->status),
			    log_str("reason", outcome->warning));
	} else if (buffer_printf(&link, "%s/captures/%s", cloudshark->base_url, id) == 0) {
		put_scrubbed(cloudshark, outcome->url, sizeof(outcome->url), buffer_text(&link));
	}
}

/* --- the upload --- */

/* Called by libcurl for the next bytes. A stream shorter than its size would leave the server waiting: abort. */
static size_t read_file(char *into, size_t size, size_t count, void *ctx)
{
	struct sink_attempt *attempt = ctx;
	uint64_t left = attempt->stream.size_bytes - attempt->sent_bytes;
	size_t room = size * count, got;

	if (left == 0)
		return 0;
	got = attempt->stream.read(attempt->stream.ctx, (uint8_t *)into, left < room ? (size_t)left : room);
	attempt->sent_bytes += got;
	return got ? got : CURL_READFUNC_ABORT;
}

/* Called by libcurl when it must send again on another connection. */
static int seek_file(void *ctx, curl_off_t offset, int origin)
{
	struct sink_attempt *attempt = ctx;

	if (origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_CANTSEEK;
	attempt->copies += attempt->sent_bytes == attempt->stream.size_bytes;
	attempt->stream.rewind(attempt->stream.ctx);
	attempt->sent_bytes = 0;
	return CURL_SEEKFUNC_OK;
}

static void attempt_close_stream(struct sink_attempt *attempt)
{
	if (attempt->stream_open)
		attempt->file->close(attempt->file->ctx, &attempt->stream);
	attempt->stream_open = false;
}

static void attempt_free(struct sink_attempt *attempt)
{
	http_transfer_free(attempt->transfer);
	curl_mime_free(attempt->form);
	curl_slist_free_all(attempt->headers);
	attempt_close_stream(attempt);
	free(attempt);
}

CLEANUP_DEFINE(attempt, struct sink_attempt, attempt_free)

static void attempt_done(void *ctx, const struct http_reply *reply)
{
	struct sink_attempt *attempt = ctx;
	struct sink_outcome outcome = {.verdict = SINK_RETRY};
	sink_attempt_done done = attempt->done;
	void *done_ctx = attempt->ctx;

	evaluate_reply(attempt, reply, &outcome);
	renew_token(attempt->cloudshark);
	if (outcome.verdict == SINK_REFUSED && reply->status >= 400 &&
	    attempt->generation != attempt->cloudshark->generation)
		outcome.verdict = SINK_RETRY; /* the refusal may be the old token's */
	attempt_free(attempt);
	done(done_ctx, &outcome);
}

static int add_field(curl_mime *form, const char *name, const char *value)
{
	curl_mimepart *part;

	if (!value || !value[0])
		return 0;
	part = curl_mime_addpart(form);
	if (!part)
		return CURLE_OUT_OF_MEMORY;
	return curl_mime_name(part, name) | curl_mime_data(part, value, CURL_ZERO_TERMINATED);
}

static int add_file(curl_mime *form, struct sink_attempt *attempt)
{
	curl_mimepart *part = curl_mime_addpart(form);

	if (!part || attempt->stream.size_bytes > INT64_MAX)
		return CURLE_OUT_OF_MEMORY;
	return curl_mime_name(part, "file") | curl_mime_filename(part, attempt->file->name) |
	       curl_mime_type(part, "application/octet-stream") |
	       curl_mime_data_cb(part, (curl_off_t)attempt->stream.size_bytes, read_file, seek_file, NULL, attempt);
}

/* "Expect:" disables libcurl's 100-continue, which many servers answer late or never. */
static int build_request(struct sink_attempt *attempt)
{
	CURL *easy = http_transfer_easy(attempt->transfer);

	attempt->form = curl_mime_init(easy);
	attempt->headers = curl_slist_append(NULL, "Expect:");
	if (!attempt->form || !attempt->headers)
		return CURLE_OUT_OF_MEMORY;
	return add_file(attempt->form, attempt) | add_field(attempt->form, "additional_tags", attempt->file->tags) |
	       add_field(attempt->form, "comments", attempt->file->comment) |
	       curl_easy_setopt(easy, CURLOPT_URL, attempt->cloudshark->upload_url) |
	       curl_easy_setopt(easy, CURLOPT_HTTPHEADER, attempt->headers) |
	       curl_easy_setopt(easy, CURLOPT_MIMEPOST, attempt->form);
}

static struct sink_attempt *cloudshark_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
					     void *ctx)
{
	struct cloudshark_sink *cloudshark = container_of(sink, struct cloudshark_sink, sink);
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	renew_token(cloudshark);
	attempt->cloudshark = cloudshark;
	attempt->generation = cloudshark->generation;
	attempt->file = file;
	attempt->done = done;
	attempt->ctx = ctx;
	attempt->stream_open = file->open(file->ctx, &attempt->stream);
	attempt->transfer = http_transfer_new(cloudshark->client, attempt_done, attempt);
	if (!attempt->stream_open || !attempt->transfer || build_request(attempt) != 0 ||
	    http_transfer_start(attempt->transfer) < 0)
		return NULL;
	return take(attempt);
}

static bool cloudshark_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	(void)sink;
	(void)outcome;
	attempt_free(attempt);
	return false;
}

/* --- the sink --- */

static void cloudshark_free(struct sink *sink)
{
	struct cloudshark_sink *cloudshark = container_of(sink, struct cloudshark_sink, sink);

	http_client_free(cloudshark->client);
	free_secret(cloudshark->upload_url);
	for (size_t i = 0; i < TOKENS; i++)
		free_token(&cloudshark->tokens[i]);
	secret_free(cloudshark->own_secret);
	free(cloudshark->base_url);
	free(cloudshark->sink.name);
	free(cloudshark);
}

static const char *cloudshark_address(const struct sink *sink)
{
	return container_of(sink, const struct cloudshark_sink, sink)->base_url;
}

static const struct sink_class cloudshark_class = {
	.start = cloudshark_start,
	.cancel = cloudshark_cancel,
	.free = cloudshark_free,
	.address = cloudshark_address,
};

/* "scheme://host[:port]": adds brackets to an IPv6 address and omits the scheme's default port. */
static int format_base(char **base_url, const struct cloudshark_sink_options *options, bool https)
{
	bool bare_ipv6 = strchr(options->host, ':') && options->host[0] != '[';
	bool default_port = options->port == 0 || options->port == (https ? 443 : 80);
	char port[sizeof(":65535")] = "";

	if (!default_port)
		snprintf(port, sizeof(port), ":%u", (unsigned)options->port);
	return asprintf(base_url, "%s://%s%s%s%s", https ? "https" : "http", bare_ipv6 ? "[" : "", options->host,
			bare_ipv6 ? "]" : "", port);
}

struct sink *cloudshark_sink_new(struct event_base *loop, const char *name,
				 const struct cloudshark_sink_options *options)
{
	struct cloudshark_sink *cloudshark = calloc(1, sizeof(*cloudshark));
	bool https = strcmp(options->scheme, "http") != 0;
	struct http_client_options client = {
		.https = https,
		.verify = options->verify,
		.ca_file = options->ca_file,
		.timeout_ns = options->timeout_ns,
		.min_speed = options->min_speed,
		.window_ns = options->window_ns,
	};

	if (!cloudshark)
		return NULL;
	cloudshark->sink = (struct sink){.class = &cloudshark_class, .name = strdup(name)};
	if (!options->secret)
		cloudshark->own_secret = secret_new(options->token, NULL, NULL, NULL);
	cloudshark->secret = options->secret ? options->secret : cloudshark->own_secret;
	cloudshark->client = http_client_new(loop, &client);
	if (format_base(&cloudshark->base_url, options, https) < 0)
		cloudshark->base_url = NULL;
	if (!cloudshark->sink.name || !cloudshark->secret || !cloudshark->base_url || take_token(cloudshark) < 0 ||
	    !cloudshark->client) {
		cloudshark_free(&cloudshark->sink);
		return NULL;
	}
	return &cloudshark->sink;
}
