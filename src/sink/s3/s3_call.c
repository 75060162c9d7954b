/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The difference between our clock and the service's, once it has objected to ours, counts for all requests after that.
 *
 * Which errors are worth another attempt is decided by S3's code, where it has one in our table, else by the status
 * (http_verdict.h). Texts of answers are scrubbed of the secret, the session token and the signature.
 */
#include "sink/s3/s3_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/http_client.h"
#include "sink/http_verdict.h"
#include "sink/report_text.h"
#include "sink/s3/aws_credentials.h"
#include "sink/s3/aws_key.h"
#include "sink/s3/xml_text.h"

#define LOG_BURST 3
#define SKEW_MIN_S 30 /* a smaller difference is not what the service objects to */
#define SIGNATURE_SIZE 65
#define UPLOAD_BUFFER (256L * 1024)

struct s3_client {
	struct http_client *clients[2]; /* http, https */
	struct aws_credentials *credentials;
	int64_t skew_s; /* the service's clock minus ours */
	struct log_rate log_rate;
};

struct s3_call {
	struct s3_client *client;
	struct s3_request request;
	s3_call_done done;
	void *ctx;
	struct aws_waiter waiter;
	struct http_transfer *transfer;
	struct curl_slist *headers;
	size_t sent_bytes;
	unsigned generation; /* of the key */
	char signature[SIGNATURE_SIZE];
	bool region_corrected, clock_corrected, key_renewed;
};

/* --- sending --- */

static size_t read_body(char *into, size_t size, size_t count, void *ctx)
{
	struct s3_call *call = ctx;
	const size_t left = call->request.body_size - call->sent_bytes, room = size * count;
	const size_t got = left < room ? left : room;

	memcpy(into, (const char *)call->request.body + call->sent_bytes, got);
	call->sent_bytes += got;
	return got;
}

/* Called by libcurl when it must send again on another connection. */
static int seek_body(void *ctx, curl_off_t offset, int origin)
{
	struct s3_call *call = ctx;

	if (origin != SEEK_SET || offset < 0 || (size_t)offset > call->request.body_size)
		return CURL_SEEKFUNC_CANTSEEK;
	call->sent_bytes = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* The headers that are signed: the request's own and those of every request. */
struct signed_headers {
	struct aws_pair pairs[AWS_PAIRS_MAX];
	size_t count;
	char time[AWS_TIME_SIZE];
};

static int collect_headers(const struct s3_call *call, const struct s3_address *address, const struct aws_key *key,
			   struct signed_headers *headers)
{
	const struct s3_request *request = &call->request;
	const time_t now = time(NULL) + (time_t)call->client->skew_s;
	struct tm utc;

	if (request->header_count + 4 > AWS_PAIRS_MAX || !gmtime_r(&now, &utc) ||
	    !strftime(headers->time, sizeof(headers->time), "%Y%m%dT%H%M%SZ", &utc))
		return -E2BIG;
	headers->count = request->header_count;
	for (size_t i = 0; i < request->header_count; i++)
		headers->pairs[i] = request->headers[i];
	headers->pairs[headers->count++] = (struct aws_pair){"host", address->host};
	headers->pairs[headers->count++] = (struct aws_pair){"x-amz-content-sha256", request->body_hash};
	headers->pairs[headers->count++] = (struct aws_pair){"x-amz-date", headers->time};
	if (key->token)
		headers->pairs[headers->count++] = (struct aws_pair){"x-amz-security-token", key->token};
	return 0;
}

static int add_line(struct curl_slist **list, const char *name, const char *value)
{
	struct buffer line = BUFFER_INIT(AWS_TEXT_MAX);
	struct curl_slist *grown = NULL;

	if (buffer_printf(&line, "%s: %s", name, value) == 0)
		grown = curl_slist_append(*list, buffer_text(&line));
	if (line.data)
		explicit_bzero(line.data, line.size);
	buffer_deinit(&line);
	if (!grown)
		return -ENOMEM;
	*list = grown;
	return 0;
}

/* Makes the list of headers that libcurl sends. */
static int sign(struct s3_call *call, const struct s3_address *address, const struct aws_key *key)
{
	cleanup(buffer_deinit) struct buffer authorization = BUFFER_INIT(AWS_TEXT_MAX);
	const struct s3_request *request = &call->request;
	struct signed_headers headers;
	int r = collect_headers(call, address, key, &headers);

	if (r < 0)
		return r;
	const struct aws_request aws = {
		.method = request->method,
		.path = buffer_text(&address->path),
		.query = request->query,
		.query_count = request->query_count,
		.headers = headers.pairs,
		.header_count = headers.count,
		.payload_hash = request->body_hash,
		.region = request->target->region,
		.service = "s3",
		.time = headers.time,
		.id = key->id,
		.secret = key->secret,
	};
	r = aws_sign(&authorization, &aws);
	if (r < 0)
		return r;
	snprintf(call->signature, sizeof(call->signature), "%s",
		 buffer_text(&authorization) + authorization.size - (sizeof(call->signature) - 1));
	for (size_t i = 0; i < headers.count && r == 0; i++)
		r = add_line(&call->headers, headers.pairs[i].name, headers.pairs[i].value);
	if (r == 0)
		r = add_line(&call->headers, "authorization", buffer_text(&authorization));
	/* Without 100-continue, which many servers answer late or never. */
	struct curl_slist *grown = r == 0 ? curl_slist_append(call->headers, "Expect:") : NULL;
	call->headers = grown ? grown : call->headers;
	return grown ? 0 : -ENOMEM;
}

static int set_url(const struct s3_call *call, CURL *easy, const struct s3_address *address)
{
	cleanup(buffer_deinit) struct buffer url = BUFFER_INIT(AWS_TEXT_MAX);
	int r = buffer_printf(&url, "%s://%s%s%s", address->https ? "https" : "http", address->host,
			      buffer_text(&address->path), call->request.query_count ? "?" : "");

	if (r == 0)
		r = aws_query(&url, call->request.query, call->request.query_count);
	if (r < 0)
		return r;
	return curl_easy_setopt(easy, CURLOPT_URL, buffer_text(&url)) == CURLE_OK ? 0 : -ENOMEM;
}

static int set_body(struct s3_call *call, CURL *easy)
{
	const struct s3_request *request = &call->request;
	int failed = 0;

	if (strcmp(request->method, "PUT") == 0) {
		failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		failed |= curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
		failed |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_body);
		failed |= curl_easy_setopt(easy, CURLOPT_READDATA, call);
		failed |= curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
		failed |= curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
		failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	} else if (strcmp(request->method, "POST") == 0) {
		failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
		failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body_size ? request->body : "");
	} else {
		failed |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	}
	return failed ? -ENOMEM : 0;
}

static void on_reply(void *ctx, const struct http_reply *reply);

static void drop_transfer(struct s3_call *call)
{
	http_transfer_free(take(call->transfer));
	curl_slist_free_all(take(call->headers));
}

/* 0 or -errno. Frees the transfer before. */
static int send_call(struct s3_call *call, const struct aws_key *key)
{
	struct s3_address address;
	int r = s3_address_init(&address, call->request.target, call->request.key);

	drop_transfer(call);
	call->sent_bytes = 0;
	call->generation = aws_credentials_generation(call->client->credentials);
	if (r == 0)
		r = sign(call, &address, key);
	if (r == 0) {
		call->transfer = http_transfer_new(call->client->clients[address.https], on_reply, call);
		CURL *easy = call->transfer ? http_transfer_easy(call->transfer) : NULL;

		r = easy && !set_url(call, easy, &address) && !set_body(call, easy) &&
				    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
				    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK
			    ? http_transfer_start(call->transfer)
			    : -ENOMEM;
	}
	s3_address_deinit(&address);
	return r;
}

static void report(struct s3_call *call, const struct s3_answer *answer)
{
	call->done(call->ctx, answer);
}

/* The request could not be sent. */
static void report_error(struct s3_call *call, enum sink_verdict verdict, const char *text)
{
	struct s3_answer answer = {.verdict = verdict, .body = ""};

	report_text_copy(answer.error, sizeof(answer.error), text);
	report(call, &answer);
}

/* Sends once there is a key. 0 or -errno. */
static int send_or_wait(struct s3_call *call)
{
	const struct aws_key *key = aws_credentials_get(call->client->credentials);

	return key ? send_call(call, key) : aws_credentials_wait(call->client->credentials, &call->waiter);
}

static void on_key(void *ctx, const char *error)
{
	struct s3_call *call = ctx;
	int r;

	if (error) {
		report_error(call, SINK_RETRY, error);
		return;
	}
	r = send_or_wait(call);
	if (r < 0)
		report_error(call, SINK_RETRY, strerror(-r));
}

/* --- the answer --- */

static const char *header_of(const struct s3_call *call, const char *name)
{
	struct curl_header *header = NULL;

	return curl_easy_header(http_transfer_easy(call->transfer), name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
		       ? header->value
		       : "";
}

/* Errors whose status says too little. */
static const struct {
	const char *code;
	enum sink_verdict verdict;
} verdicts[] = {
	{"BadDigest", SINK_RETRY}, /* the bytes were changed on their way */
	{"IncompleteBody", SINK_RETRY},
	{"InternalError", SINK_RETRY},
	{"InvalidPart", SINK_RETRY},
	{"NoSuchUpload", SINK_RETRY},
	{"OperationAborted", SINK_RETRY},
	{"RequestTimeout", SINK_RETRY},
	{"ServiceUnavailable", SINK_RETRY},
	{"SlowDown", SINK_RETRY},
	{"XAmzContentChecksumMismatch", SINK_RETRY},
	{"XAmzContentSHA256Mismatch", SINK_RETRY},
};

static bool sent_whole(const struct s3_call *call)
{
	return call->sent_bytes == call->request.body_size || strcmp(call->request.method, "PUT") != 0;
}

static enum sink_verdict judge(const struct s3_call *call, const struct http_reply *reply, const char *code)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++)
		if (strcmp(code, verdicts[i].code) == 0)
			return verdicts[i].verdict;
	if (reply->status >= 200 && reply->status < 300 && call->request.wants_answer &&
	    (reply->result != CURLE_OK || *code || !*reply->body))
		return *code ? SINK_REFUSED : SINK_RETRY;
	if (reply->status >= 200 && reply->status < 300 &&
	    (!sent_whole(call) || (call->request.wants_etag && !*header_of(call, "etag"))))
		return SINK_RETRY;
	return http_verdict(reply, sent_whole(call));
}

static void describe(const struct s3_call *call, const struct http_reply *reply, const struct s3_answer *answer,
		     struct buffer *text)
{
	char message[600], endpoint[256];
	const char *id = header_of(call, "x-amz-request-id");
	int r;

	xml_text(reply->body, "Message", message, sizeof(message));
	xml_text(reply->body, "Endpoint", endpoint, sizeof(endpoint));
	if (reply->status == 0)
		r = buffer_append_string(text, reply->error);
	else if (reply->status >= 300 && reply->status < 400)
		r = buffer_printf(
			text,
			"HTTP %ld: redirected to %.256s; redirects are not followed, configure region and endpoint",
			reply->status,
			*endpoint	  ? endpoint
			: reply->redirect ? reply->redirect
					  : "nowhere");
	else if (*answer->code)
		r = buffer_printf(text, "HTTP %ld: %s%s%s", reply->status, answer->code, *message ? ": " : "", message);
	else
		r = buffer_printf(text, "HTTP %ld%s%s", reply->status, *reply->error ? ": " : "", reply->error);
	if (r == 0 && *id)
		r = buffer_printf(text, " (request %.64s)", id);
	if (r < 0) {
		buffer_clear(text);
		(void)!buffer_append_string(text, "out of memory");
	}
}

static void put_error(const struct s3_call *call, const struct http_reply *reply, struct s3_answer *answer)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(AWS_TEXT_MAX);
	cleanup(cleanup_free) char *half = NULL, *scrubbed = NULL;

	describe(call, reply, answer, &text);
	half = aws_credentials_scrub(call->client->credentials, buffer_text(&text));
	scrubbed = half ? report_text_scrub(half, call->signature) : NULL;
	report_text_copy(answer->error, sizeof(answer->error), scrubbed ? scrubbed : "out of memory");
}

/* --- corrections --- */

/* The bucket's region, if the answer names another one than ours. */
static bool correct_region(struct s3_call *call, const struct http_reply *reply, const struct s3_answer *answer)
{
	struct s3_target *target = call->request.target;
	char region[S3_REGION_SIZE];
	const char *named = header_of(call, "x-amz-bucket-region");
	uint64_t suppressed = 0;

	snprintf(region, sizeof(region), "%s", strlen(named) < sizeof(region) ? named : "");
	if (!*region)
		xml_text(reply->body, "Region", region, sizeof(region));
	if (call->region_corrected || reply->status < 300 || reply->status >= 500 || !s3_is_region(region) ||
	    strcmp(region, target->region) == 0)
		return false;
	if (log_rate_allow(&call->client->log_rate, &suppressed))
		log_notice("s3-region", log_str("bucket", target->bucket), log_str("region", region),
			   log_str("configured", target->region), log_str("code", answer->code),
			   log_uint("suppressed", suppressed));
	call->region_corrected = true;
	s3_target_move(target, region);
	return true;
}

static bool correct_clock(struct s3_call *call, const struct s3_answer *answer)
{
	const time_t theirs = curl_getdate(header_of(call, "date"), NULL);
	const int64_t skew_s = (int64_t)theirs - (int64_t)time(NULL);
	const int64_t change_s = skew_s - call->client->skew_s;
	uint64_t suppressed = 0;

	if (call->clock_corrected || strcmp(answer->code, "RequestTimeTooSkewed") != 0 || theirs < 0 ||
	    (change_s > -SKEW_MIN_S && change_s < SKEW_MIN_S))
		return false;
	if (log_rate_allow(&call->client->log_rate, &suppressed))
		log_warning("s3-clock-skew", log_int("seconds", skew_s),
			    log_str("hint", "requests are signed by the service's clock; this host's is wrong"),
			    log_uint("suppressed", suppressed));
	call->clock_corrected = true;
	call->client->skew_s = skew_s;
	return true;
}

static bool renew_key(struct s3_call *call, const struct s3_answer *answer)
{
	static const char *const codes[] = {"ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId",
					    "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired"};

	if (call->key_renewed)
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (strcmp(answer->code, codes[i]) == 0)
			return call->key_renewed = aws_credentials_reject(call->client->credentials, call->generation);
	return false;
}

/* Whether the service may have the whole request. */
static bool was_sent(const struct s3_call *call)
{
	long head_bytes = 0;

	curl_easy_getinfo(http_transfer_easy(call->transfer), CURLINFO_REQUEST_SIZE, &head_bytes);
	return head_bytes > 0 && sent_whole(call);
}

static void on_reply(void *ctx, const struct http_reply *reply)
{
	struct s3_call *call = ctx;
	struct s3_answer answer = {
		.retry_after_ns = reply->retry_after_ns,
		.status = reply->status,
		.body = reply->body,
		.body_size = reply->body_size,
	};

	if (reply->status >= 300 || (call->request.wants_answer && xml_has(reply->body, "Error")))
		xml_text(reply->body, "Code", answer.code, sizeof(answer.code));
	if (correct_region(call, reply, &answer) || correct_clock(call, &answer) || renew_key(call, &answer)) {
		const int r = send_or_wait(call);

		if (r < 0)
			report_error(call, SINK_RETRY, strerror(-r));
		return;
	}
	answer.verdict = judge(call, reply, answer.code);
	answer.unclear =
		answer.verdict == SINK_RETRY && (reply->status == 0 || reply->result != CURLE_OK) && was_sent(call);
	if (answer.verdict == SINK_OK) {
		snprintf(answer.etag, sizeof(answer.etag), "%s", header_of(call, "etag"));
		snprintf(answer.checksum, sizeof(answer.checksum), "%s", header_of(call, "x-amz-checksum-algorithm"));
	} else {
		put_error(call, reply, &answer);
	}
	report(call, &answer);
}

/* --- the whole --- */

struct s3_call *s3_call_start(struct s3_client *client, const struct s3_request *request, s3_call_done done, void *ctx)
{
	cleanup(cleanup_s3_call) struct s3_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->client = client;
	call->request = *request;
	call->done = done;
	call->ctx = ctx;
	call->waiter = (struct aws_waiter){.done = on_key, .ctx = call};
	return send_or_wait(call) < 0 ? NULL : take(call);
}

void s3_call_free(struct s3_call *call)
{
	if (!call)
		return;
	aws_credentials_forget(call->client->credentials, &call->waiter);
	drop_transfer(call);
	free(call);
}

struct s3_client *s3_client_new(struct event_base *loop, const struct http_client_options *http,
				const struct aws_credentials_options *credentials)
{
	cleanup(cleanup_s3_client) struct s3_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->log_rate.burst = LOG_BURST;
	for (size_t i = 0; i < 2; i++) {
		struct http_client_options options = *http;

		options.https = i == 1;
		client->clients[i] = http_client_new(loop, &options);
		if (!client->clients[i])
			return NULL;
	}
	client->credentials = aws_credentials_new(loop, credentials);
	return client->credentials ? take(client) : NULL;
}

void s3_client_free(struct s3_client *client)
{
	if (!client)
		return;
	aws_credentials_free(client->credentials);
	for (size_t i = 0; i < 2; i++)
		http_client_free(client->clients[i]);
	free(client);
}
