/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An upload is one request. libcurl pulls the file out of the capture's memory while it sends it (sink/upload_body.h),
 * as the body or as the last part of a form. Any 2xx is success once the whole file was sent; http_verdict() decides
 * about every other answer.
 *
 * A PUT names the file, so a second one replaces the first. A POST does not: if it was sent whole and no answer came,
 * the server may have the file, and the outcome counts the copy.
 *
 * The URL, the token and the password are read again when their files change: a SAS or presigned URL expires.
 */
#include "sink/http_sink.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/name_template.h"
#include "base/secret.h"
#include "http/http_client.h"
#include "sink/http_verdict.h"
#include "sink/report_text.h"
#include "sink/scrub.h"
#include "sink/sink.h"
#include "sink/upload_body.h"

#define EXPANDED_MAX (16u << 20) /* bytes of a URL or header: no configuration reaches that */

struct strings {
	char **items;
	size_t count;
};

struct http_sink {
	struct sink sink;
	struct http_client *client;
	struct secret *url, *token, *password;
	unsigned generation; /* of them together, for which these were made: */
	char *template;	     /* the URL in use; holds secrets */
	char *shown;	     /* the same without them */
	char *authorization; /* a header, or NULL */
	struct scrub scrub;
	char *username, *form_field;
	struct strings forms, headers;
	bool post, https;
};

struct sink_attempt {
	struct http_sink *http;
	struct upload_body body;
	struct buffer url;
	unsigned generation;
	struct http_transfer *transfer;
	curl_mime *form;
	struct curl_slist *headers;
	sink_attempt_done done;
	void *ctx;
};

/* --- secrets that may change --- */

static void free_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static bool is_https(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
}

/* 0 or -ENOMEM: all stays as it was. */
static int take_secrets(struct http_sink *http, const char *url, const char *token, const char *password)
{
	char *template = strdup(url), *shown = scrub_url(url), *authorization = NULL;

	if (*token && asprintf(&authorization, "Authorization: Bearer %s", token) < 0)
		authorization = NULL;
	if (!template || !shown || (*token && !authorization) || scrub_add_url(&http->scrub, url, false) < 0 ||
	    scrub_add(&http->scrub, token) < 0 || scrub_add(&http->scrub, password) < 0) {
		free_text(template);
		free_text(authorization);
		free(shown);
		return -ENOMEM;
	}
	free(http->shown);
	http->shown = shown;
	free_text(http->template);
	free_text(http->authorization);
	http->template = template;
	http->authorization = authorization;
	return 0;
}

/* Takes what has changed. */
static void renew_secrets(struct http_sink *http)
{
	const char *url = secret_get(http->url), *token = secret_get(http->token);
	const char *password = secret_get(http->password);
	const unsigned generation =
		secret_generation(http->url) + secret_generation(http->token) + secret_generation(http->password);

	if (generation == http->generation)
		return;
	if (is_https(url) != http->https) {
		log_warning("http-url-unusable", log_str("destination", http->sink.name),
			    log_str("reason", "its scheme may not change while the daemon runs"));
		url = http->template;
	}
	if (take_secrets(http, url, token, password) == 0)
		http->generation = generation;
}

/* --- the answer --- */

static void describe_failure(const struct http_sink *http, const struct http_reply *reply, struct sink_outcome *outcome)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(2 * HTTP_REPLY_BYTES_MAX);
	cleanup(cleanup_free) char *target = reply->redirect ? scrub_url(reply->redirect) : NULL;
	cleanup(cleanup_free) char *body = strdup(reply->body);
	int r;

	if (body)
		report_text_line(body);
	if (reply->status == 0)
		r = buffer_append_string(&text, reply->error);
	else if (reply->status >= 300 && reply->status < 400)
		r = buffer_printf(&text,
				  "HTTP %ld: redirected to %.2048s; redirects are not followed, configure that address",
				  reply->status, target ? target : "nowhere");
	else if (reply->status < 300)
		r = buffer_printf(&text, "HTTP %ld came before the whole file was sent", reply->status);
	else if (body && *body)
		r = buffer_printf(&text, "HTTP %ld: %s", reply->status, body);
	else if (reply->error[0])
		r = buffer_printf(&text, "HTTP %ld: %s", reply->status, reply->error);
	else
		r = buffer_printf(&text, "HTTP %ld", reply->status);
	scrub_put(&http->scrub, outcome->error, sizeof(outcome->error), r < 0 ? "out of memory" : buffer_text(&text));
}

static void evaluate_reply(const struct sink_attempt *attempt, const struct http_reply *reply,
			   struct sink_outcome *outcome)
{
	const struct http_sink *http = attempt->http;
	const bool sent_whole = upload_body_sent_whole(&attempt->body);
	cleanup(cleanup_free) char *shown = scrub_url(buffer_text(&attempt->url));

	outcome->verdict = http_verdict(reply, sent_whole);
	outcome->retry_after_ns = reply->retry_after_ns;
	if (outcome->verdict == SINK_OK) {
		if (shown && strlen(shown) < sizeof(outcome->url))
			report_text_copy(outcome->url, sizeof(outcome->url), shown);
		return;
	}
	describe_failure(http, reply, outcome);
	if (http->post && !reply->status)
		outcome->copies = attempt->body.copies + sent_whole;
}

/* --- the upload --- */

static void attempt_free(struct sink_attempt *attempt)
{
	http_transfer_free(attempt->transfer);
	curl_mime_free(attempt->form);
	curl_slist_free_all(attempt->headers);
	upload_body_close(&attempt->body);
	if (attempt->url.data)
		explicit_bzero(attempt->url.data, attempt->url.size);
	buffer_deinit(&attempt->url);
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
	renew_secrets(attempt->http);
	if (outcome.verdict == SINK_REFUSED && reply->status >= 400 && attempt->generation != attempt->http->generation)
		outcome.verdict = SINK_RETRY; /* the refusal may be the old secret's */
	attempt_free(attempt);
	done(done_ctx, &outcome);
}

static bool has_name(const char *header, const char *name)
{
	const size_t length = strlen(name);

	return strncasecmp(header, name, length) == 0 && header[length] == ':';
}

static int append_header(struct sink_attempt *attempt, const char *header)
{
	struct curl_slist *longer = curl_slist_append(attempt->headers, header);

	if (!longer)
		return -ENOMEM;
	attempt->headers = longer;
	return 0;
}

/* One that is sent unless the configuration has a header of that name. */
static int append_default(struct sink_attempt *attempt, const char *name, const char *header)
{
	const struct http_sink *http = attempt->http;

	for (size_t i = 0; i < http->headers.count; i++)
		if (has_name(http->headers.items[i], name))
			return 0;
	return append_header(attempt, header);
}

/* "Expect:" disables libcurl's 100-continue, which many servers answer late or never. */
static int add_headers(struct sink_attempt *attempt, const struct name_values *values)
{
	const struct http_sink *http = attempt->http;
	int r = append_default(attempt, "Expect", "Expect:");

	if (r == 0 && !*http->form_field)
		r = append_default(attempt, "Content-Type", "Content-Type: application/octet-stream");
	if (r == 0 && http->authorization)
		r = append_default(attempt, "Authorization", http->authorization);
	for (size_t i = 0; i < http->headers.count && r == 0; i++) {
		cleanup(buffer_deinit) struct buffer header = BUFFER_INIT(EXPANDED_MAX);

		r = name_template_expand(http->headers.items[i], NAME_TEMPLATE_TEXT, values, &header);
		if (r == 0)
			r = append_header(attempt, buffer_text(&header));
	}
	return r;
}

/* `field`: "name=value". */
static int add_field(curl_mime *form, const char *field, const struct name_values *values)
{
	cleanup(buffer_deinit) struct buffer value = BUFFER_INIT(EXPANDED_MAX);
	cleanup(cleanup_free) char *name = strndup(field, strcspn(field, "="));
	curl_mimepart *part = curl_mime_addpart(form);

	if (!name || !part || name_template_expand(strchr(field, '=') + 1, NAME_TEMPLATE_TEXT, values, &value) < 0)
		return CURLE_OUT_OF_MEMORY;
	return curl_mime_name(part, name) | curl_mime_data(part, buffer_text(&value), value.size);
}

static int add_form(struct sink_attempt *attempt, const struct name_values *values)
{
	const struct http_sink *http = attempt->http;
	CURL *easy = http_transfer_easy(attempt->transfer);
	curl_mimepart *part;
	int failed = 0;

	attempt->form = curl_mime_init(easy);
	for (size_t i = 0; i < http->forms.count && attempt->form; i++)
		failed |= add_field(attempt->form, http->forms.items[i], values);
	part = attempt->form ? curl_mime_addpart(attempt->form) : NULL;
	if (failed || !part || attempt->body.stream.size_bytes > INT64_MAX)
		return CURLE_OUT_OF_MEMORY;
	return curl_mime_name(part, http->form_field) | curl_mime_filename(part, attempt->body.file->name) |
	       curl_mime_type(part, "application/octet-stream") |
	       curl_mime_data_cb(part, (curl_off_t)attempt->body.stream.size_bytes, upload_body_read, upload_body_seek,
				 NULL, &attempt->body) |
	       curl_easy_setopt(easy, CURLOPT_MIMEPOST, attempt->form);
}

static int add_login(const struct http_sink *http, CURL *easy)
{
	if (!*http->username)
		return 0;
	return curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) |
	       curl_easy_setopt(easy, CURLOPT_USERNAME, http->username) |
	       curl_easy_setopt(easy, CURLOPT_PASSWORD, secret_get(http->password));
}

static int build_request(struct sink_attempt *attempt, const struct sink_file *file)
{
	const struct http_sink *http = attempt->http;
	const struct name_values values = sink_file_names(file);
	CURL *easy = http_transfer_easy(attempt->transfer);
	int failed = 0;

	attempt->url = (struct buffer)BUFFER_INIT(EXPANDED_MAX);
	if (name_template_expand(http->template, NAME_TEMPLATE_URL, &values, &attempt->url) < 0 ||
	    add_headers(attempt, &values) < 0)
		return CURLE_OUT_OF_MEMORY;
	if (*http->form_field)
		failed |= add_form(attempt, &values);
	else
		failed |= upload_body_set(&attempt->body, easy);
	if (http->post && !*http->form_field)
		failed |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "POST");
	return failed | add_login(http, easy) | curl_easy_setopt(easy, CURLOPT_URL, buffer_text(&attempt->url)) |
	       curl_easy_setopt(easy, CURLOPT_HTTPHEADER, attempt->headers);
}

static struct sink_attempt *http_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
				       void *ctx)
{
	struct http_sink *http = container_of(sink, struct http_sink, sink);
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	renew_secrets(http);
	attempt->http = http;
	attempt->generation = http->generation;
	attempt->done = done;
	attempt->ctx = ctx;
	attempt->transfer = http_transfer_new(http->client, attempt_done, attempt);
	if (!attempt->transfer || !upload_body_open(&attempt->body, file) || build_request(attempt, file) != 0 ||
	    http_transfer_start(attempt->transfer) < 0)
		return NULL;
	return take(attempt);
}

static bool http_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	(void)sink;
	if (attempt->http->post && attempt->body.open)
		outcome->copies = attempt->body.copies + upload_body_sent_whole(&attempt->body);
	attempt_free(attempt);
	return false;
}

/* --- the sink --- */

static void free_strings(struct strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free_text(strings->items[i]);
	free(strings->items);
}

static int copy_strings(struct strings *strings, char *const *items, size_t count)
{
	strings->items = calloc(count + 1, sizeof(*strings->items));
	for (; strings->items && strings->count < count; strings->count++) {
		strings->items[strings->count] = strdup(items[strings->count]);
		if (!strings->items[strings->count])
			break;
	}
	return strings->items && strings->count == count ? 0 : -ENOMEM;
}

static void http_free(struct sink *sink)
{
	struct http_sink *http = container_of(sink, struct http_sink, sink);

	http_client_free(http->client);
	free_text(http->template);
	free(http->shown);
	free_text(http->authorization);
	scrub_deinit(&http->scrub);
	free_strings(&http->forms);
	free_strings(&http->headers);
	free(http->form_field);
	free(http->username);
	free(http->sink.name);
	free(http);
}

static const char *http_address(const struct sink *sink)
{
	return container_of(sink, const struct http_sink, sink)->shown;
}

static const struct sink_class http_class = {
	.start = http_start,
	.cancel = http_cancel,
	.free = http_free,
	.address = http_address,
};

static int hide_headers(struct http_sink *http)
{
	int r = 0;

	for (size_t i = 0; i < http->headers.count && r == 0; i++)
		r = scrub_add_header(&http->scrub, http->headers.items[i]);
	return r;
}

static int http_init(struct http_sink *http, struct event_base *loop, const struct http_sink_options *options)
{
	const char *url = secret_get(http->url);

	http->https = is_https(url);
	http->client = http_client_new(loop, &(struct http_client_options){
						     .https = http->https,
						     .verify = options->verify,
						     .ca_file = options->ca_file,
						     .cert_file = options->cert_file,
						     .key_file = options->key_file,
						     .timeout_ns = options->timeout_ns,
						     .min_speed = options->min_speed,
						     .window_ns = options->window_ns,
					     });
	http->post = options->post;
	http->username = strdup(options->username);
	http->form_field = strdup(options->form_field);
	if (!http->sink.name || !http->client || !http->username || !http->form_field ||
	    copy_strings(&http->forms, options->forms, options->form_count) < 0 ||
	    copy_strings(&http->headers, options->headers, options->header_count) < 0 || hide_headers(http) < 0)
		return -ENOMEM;
	return take_secrets(http, url, secret_get(http->token), secret_get(http->password));
}

struct sink *http_sink_new(struct event_base *loop, const char *name, const struct http_sink_options *options)
{
	struct http_sink *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->url = options->url;
	http->token = options->token;
	http->password = options->password;
	http->sink = (struct sink){.class = &http_class, .name = strdup(name)};
	if (http_init(http, loop, options) == 0)
		return &http->sink;
	http_free(&http->sink);
	return NULL;
}
