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
 * If the answer to a whole upload is lost (the connection broke, or a gateway gave up on the server), CloudShark may
 * have the file. So the next attempt first asks for it by its name, which is unique:
 *
 *     search ──found──> success, with its link
 *        ├──not there──> upload
 *        ├──the server is away or busy──> the attempt ends; the next one asks again
 *        └──no answer that tells (search not allowed, …)──> upload; success has a warning
 *
 * The token is part of the URL, so it may come back in libcurl's messages, in a redirect, or in a server's text about
 * the request. Every such text is scrubbed of it before it is cut to size.
 */
#include "sink/cloudshark_sink.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/container_of.h"
#include "base/customer_tokens.h"
#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "http/http_client.h"
#include "sink/cloudshark_answer.h"
#include "sink/display_filter.h"
#include "sink/http_verdict.h"
#include "sink/report_text.h"
#include "sink/sink.h"
#include "sink/token_spellings.h"

#define REASONS_MAX (2 * HTTP_REPLY_BYTES_MAX) /* bytes of exception texts taken from one answer */

#define ANSWER_UNREADABLE \
	"the upload was accepted, but the answer holds no capture id, so the file's address is unknown"
#define ANSWER_CUT "the upload was accepted, but the answer broke off, so the file's address is unknown"

struct cloudshark_sink {
	struct sink sink;
	struct http_client *client;
	char *base_url;			    /* scheme://host[:port] */
	char *public_url;		    /* NULL: base_url is */
	struct secret *secret, *own_secret; /* own_secret: to be freed, or NULL */
	struct secret *customers;	    /* NULL: none */
	bool filter_links;
};

struct sink_attempt {
	struct cloudshark_sink *cloudshark;
	const struct sink_file *file;
	struct token_spellings token;
	unsigned generation; /* of the secrets it was taken from */
	bool stream_open;
	struct byte_stream stream;
	uint64_t sent_bytes; /* of the stream */
	char unclear[192];   /* why a search did not tell whether the file is there; "": none was made, or it did */
	struct http_transfer *transfer;
	curl_mime *form;
	struct curl_slist *headers;
	sink_attempt_done done;
	void *ctx;
};

/* --- the token --- */

static unsigned generation_now(const struct cloudshark_sink *cloudshark)
{
	(void)secret_get(cloudshark->secret);
	if (cloudshark->customers)
		(void)secret_get(cloudshark->customers);
	return secret_generation(cloudshark->secret) +
	       (cloudshark->customers ? secret_generation(cloudshark->customers) : 0);
}

/* Takes the customer's token as it is now, or else the general one. 0 or -ENOMEM. */
static int take_token(struct sink_attempt *attempt)
{
	const struct cloudshark_sink *cloudshark = attempt->cloudshark;
	const char *customer = attempt->file->customer, *token = NULL;
	size_t size;

	attempt->generation = generation_now(cloudshark);
	if (cloudshark->customers && customer)
		token = customer_tokens_find(secret_get(cloudshark->customers), customer, &size);
	if (!token) {
		token = secret_get(cloudshark->secret);
		size = strlen(token);
	}
	return token_spellings_init(&attempt->token, token, size);
}

/* --- the answer --- */

static void describe_failure(const struct sink_attempt *attempt, const struct http_reply *reply, char *into,
			     size_t room)
{
	cleanup(buffer_deinit) struct buffer reasons = BUFFER_INIT(REASONS_MAX), text = BUFFER_INIT(2 * REASONS_MAX);
	int r;

	cloudshark_answer_exceptions(reply->body, reply->body_size, &reasons);
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
	token_spellings_scrub(&attempt->token, into, room, r < 0 ? "out of memory" : buffer_text(&text));
}

/* "?filter=…", encoded; NULL: there is no such filter, or ENOMEM. The caller frees with curl_free(). */
static char *link_filter(const struct sink_attempt *attempt)
{
	const char *filter = attempt->cloudshark->filter_links ? attempt->file->filter : NULL;
	cleanup(cleanup_free) char *display = filter ? display_filter_from_capture(filter) : NULL;

	return display ? curl_easy_escape(NULL, display, 0) : NULL;
}

static void put_link(const struct sink_attempt *attempt, const char *id, struct sink_outcome *outcome)
{
	const struct cloudshark_sink *cloudshark = attempt->cloudshark;
	cleanup(buffer_deinit) struct buffer link = BUFFER_INIT(sizeof(outcome->url));

	char *filter = link_filter(attempt);

	if (buffer_printf(&link, "%s/captures/%s",
			  cloudshark->public_url ? cloudshark->public_url : cloudshark->base_url, id) == 0) {
		if (filter)
			(void)!buffer_printf(&link, "?filter=%s", filter); /* or without it: a link has its cap */
		token_spellings_scrub(&attempt->token, outcome->url, sizeof(outcome->url), buffer_text(&link));
	}
	curl_free(filter);
}

/* Whether the server may have taken a file that was sent whole: no answer came, or one of a gateway that got none. */
static bool is_answer_lost(const struct http_reply *reply)
{
	return reply->status == 0 || reply->status == 502 || reply->status == 504;
}

static void warn_of_copy(const struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	struct error text;

	error_set(&text, 0, "an earlier upload got no answer, so it may be there %s; asked for it: %s",
		  attempt->file->copies > 1 ? "several times" : "twice", attempt->unclear);
	report_text_copy(outcome->warning, sizeof(outcome->warning), text.text);
}

static void evaluate_reply(const struct sink_attempt *attempt, const struct http_reply *reply,
			   struct sink_outcome *outcome)
{
	const bool sent_whole = attempt->sent_bytes == attempt->stream.size_bytes;
	char id[CLOUDSHARK_ID_SIZE];

	outcome->verdict = http_verdict(reply, sent_whole);
	outcome->retry_after_ns = reply->retry_after_ns;
	if (outcome->verdict != SINK_OK) {
		describe_failure(attempt, reply, outcome->error, sizeof(outcome->error));
		outcome->copies = sent_whole && is_answer_lost(reply);
		return;
	}
	if (cloudshark_answer_id(reply->body, reply->body_size, id)) {
		put_link(attempt, id, outcome);
	} else {
		report_text_copy(outcome->warning, sizeof(outcome->warning),
				 reply->result == CURLE_OK || http_reply_oversized(reply) ? ANSWER_UNREADABLE
											  : ANSWER_CUT);
		log_warning("upload-without-link", log_str("request", attempt->file->id),
			    log_str("file", attempt->file->name), log_int("status", reply->status),
			    log_str("reason", outcome->warning));
	}
	if (attempt->unclear[0])
		warn_of_copy(attempt, outcome);
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

/* Called by libcurl when it must send again on another connection. Not if all was sent: the server may have the file.
 */
static int seek_file(void *ctx, curl_off_t offset, int origin)
{
	struct sink_attempt *attempt = ctx;

	if (origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_CANTSEEK;
	if (attempt->sent_bytes == attempt->stream.size_bytes)
		return CURL_SEEKFUNC_FAIL;
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
	token_spellings_deinit(&attempt->token);
	free(attempt);
}

CLEANUP_DEFINE(attempt, struct sink_attempt, attempt_free)

static void report(struct sink_attempt *attempt, struct sink_outcome *outcome, long status)
{
	const sink_attempt_done done = attempt->done;
	void *ctx = attempt->ctx;

	if (outcome->verdict == SINK_REFUSED && status >= 400 &&
	    attempt->generation != generation_now(attempt->cloudshark))
		outcome->verdict = SINK_RETRY; /* the refusal may be the old token's */
	attempt_free(attempt);
	done(ctx, outcome);
}

static void upload_done(void *ctx, const struct http_reply *reply)
{
	struct sink_attempt *attempt = ctx;
	struct sink_outcome outcome = {.verdict = SINK_RETRY};

	evaluate_reply(attempt, reply, &outcome);
	report(attempt, &outcome, reply->status);
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

/* Sets the URL of an API call; `parameters`: "?…", encoded. A CURLcode. */
static int set_url(const struct sink_attempt *attempt, const char *call, const char *parameters)
{
	char *url = NULL;
	int code;

	if (asprintf(&url, "%s/api/v1/%s/%s%s", attempt->cloudshark->base_url, attempt->token.spelled[TOKEN_ENCODED],
		     call, parameters) < 0)
		return CURLE_OUT_OF_MEMORY;
	code = curl_easy_setopt(http_transfer_easy(attempt->transfer), CURLOPT_URL, url); /* copies it */
	explicit_bzero(url, strlen(url));
	free(url);
	return code;
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
	       add_field(attempt->form, "comments", attempt->file->comment) | set_url(attempt, "upload", "") |
	       curl_easy_setopt(easy, CURLOPT_HTTPHEADER, attempt->headers) |
	       curl_easy_setopt(easy, CURLOPT_MIMEPOST, attempt->form);
}

static int start_upload(struct sink_attempt *attempt)
{
	attempt->stream_open = attempt->file->open(attempt->file->ctx, &attempt->stream);
	attempt->transfer = http_transfer_new(attempt->cloudshark->client, upload_done, attempt);
	if (!attempt->stream_open || !attempt->transfer || build_request(attempt) != 0)
		return -ENOMEM;
	return http_transfer_start(attempt->transfer);
}

/* --- the search --- */

static void finish_search(struct sink_attempt *attempt, enum sink_verdict verdict, const struct http_reply *reply)
{
	struct sink_outcome outcome = {.verdict = verdict, .retry_after_ns = reply->retry_after_ns};

	describe_failure(attempt, reply, outcome.error, sizeof(outcome.error));
	report(attempt, &outcome, reply->status);
}

static bool is_away_or_busy(long status)
{
	static const long statuses[] = {408, 429, 502, 503, 504};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (status == statuses[i])
			return true;
	return false;
}

static void upload_after_search(struct sink_attempt *attempt)
{
	struct sink_outcome outcome = {.verdict = SINK_RETRY, .error = "out of memory"};

	http_transfer_free(take(attempt->transfer));
	if (start_upload(attempt) < 0)
		report(attempt, &outcome, 0);
}

static void search_done(void *ctx, const struct http_reply *reply)
{
	struct sink_attempt *attempt = ctx;
	struct sink_outcome found = {.verdict = SINK_OK};
	enum cloudshark_search result = CLOUDSHARK_UNCLEAR;
	char id[CLOUDSHARK_ID_SIZE];

	if (reply->status == 0 || is_away_or_busy(reply->status)) {
		finish_search(attempt, http_verdict(reply, false), reply);
		return;
	}
	if (reply->status == 200 && reply->result == CURLE_OK)
		result = cloudshark_answer_find(reply->body, reply->body_size, attempt->file->name, id);
	log_debug(sink, "upload-searched", log_str("request", attempt->file->id), log_str("file", attempt->file->name),
		  log_int("status", reply->status), log_bool("found", result == CLOUDSHARK_FOUND),
		  log_bool("clear", result != CLOUDSHARK_UNCLEAR));
	if (result == CLOUDSHARK_FOUND) {
		put_link(attempt, id, &found);
		report(attempt, &found, reply->status);
		return;
	}
	if (result == CLOUDSHARK_UNCLEAR)
		describe_failure(attempt, reply, attempt->unclear, sizeof(attempt->unclear));
	upload_after_search(attempt);
}

static int start_search(struct sink_attempt *attempt)
{
	CURL *easy;
	char *name, *parameters = NULL;
	int code = CURLE_OUT_OF_MEMORY;

	attempt->transfer = http_transfer_new(attempt->cloudshark->client, search_done, attempt);
	if (!attempt->transfer)
		return -ENOMEM;
	easy = http_transfer_easy(attempt->transfer);
	name = curl_easy_escape(easy, attempt->file->name, 0);
	if (name && asprintf(&parameters, "?search%%5Bfilename%%5D=%s", name) < 0)
		parameters = NULL;
	if (parameters)
		code = set_url(attempt, "search", parameters);
	curl_free(name);
	free(parameters);
	return code == CURLE_OK ? http_transfer_start(attempt->transfer) : -ENOMEM;
}

/* --- an attempt --- */

static struct sink_attempt *cloudshark_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
					     void *ctx)
{
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->cloudshark = container_of(sink, struct cloudshark_sink, sink);
	attempt->file = file;
	attempt->done = done;
	attempt->ctx = ctx;
	if (take_token(attempt) < 0 || (file->copies ? start_search(attempt) : start_upload(attempt)) < 0)
		return NULL;
	return take(attempt);
}

static bool cloudshark_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	(void)sink;
	outcome->copies = attempt->stream_open && attempt->sent_bytes == attempt->stream.size_bytes;
	attempt_free(attempt);
	return false;
}

/* --- the sink --- */

static void cloudshark_free(struct sink *sink)
{
	struct cloudshark_sink *cloudshark = container_of(sink, struct cloudshark_sink, sink);

	http_client_free(cloudshark->client);
	secret_free(cloudshark->own_secret);
	free(cloudshark->base_url);
	free(cloudshark->sink.name);
	free(cloudshark->public_url);
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

/* 0 or -ENOMEM. A slash at the end is dropped. */
static int copy_public_url(struct cloudshark_sink *cloudshark, const char *url)
{
	size_t size = url ? strlen(url) : 0;

	if (size == 0)
		return 0;
	while (size > 0 && url[size - 1] == '/')
		size--;
	cloudshark->public_url = strndup(url, size);
	return cloudshark->public_url ? 0 : -ENOMEM;
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
	cloudshark->customers = options->customers;
	cloudshark->filter_links = options->filter_links;
	cloudshark->client = http_client_new(loop, &client);
	if (format_base(&cloudshark->base_url, options, https) < 0)
		cloudshark->base_url = NULL;
	if (!cloudshark->sink.name || !cloudshark->secret || !cloudshark->base_url || !cloudshark->client ||
	    copy_public_url(cloudshark, options->public_url) < 0) {
		cloudshark_free(&cloudshark->sink);
		return NULL;
	}
	return &cloudshark->sink;
}
