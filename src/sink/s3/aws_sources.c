/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A source is asked in steps: read a file (on a thread), send a request, look at what came. Each step names the next
 * one. The metadata services of containers and instances have fixed link-local addresses, which are asked only if
 * nothing before them has a key, and not if AWS_EC2_METADATA_DISABLED says so.
 *
 * A container's service may be reached over plain HTTP at its fixed addresses and on loopback only, as in AWS's SDKs:
 * the token in the request is a secret.
 */
#include "sink/s3/aws_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/error.h"
#include "base/offload.h"
#include "http/http_client.h"
#include "sink/report_text.h"
#include "sink/s3/aws_credentials.h"
#include "sink/s3/aws_key.h"
#include "sink/s3/aws_sign.h"
#include "sink/s3/xml_text.h"

#define FILE_BYTES_MAX (1 << 20)
#define TEXT_MAX (64 * 1024)
#define METADATA_TIMEOUT_MS 2000L
#define STS_TIMEOUT_MS 10000L
#define ROLE_MAX 128
#define CONTAINER_URL "http://169.254.170.2"
#define INSTANCE_URL "http://169.254.169.254"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

struct source {
	const char *name;
	bool is_file, is_fixed;
	/* 0: under way; -ENOENT: it is not there, -errno: it fails, both with `err`. */
	int (*start)(struct aws_sources *sources, struct error *err);
};

typedef void (*file_step)(struct aws_sources *sources, char *text, const char *error);
typedef void (*reply_step)(struct aws_sources *sources, const struct http_reply *reply);

/* A file that is read on a thread. */
struct file_task {
	struct offload_task task;
	char path[PATH_MAX];
	char *text; /* NUL-terminated; NULL: see `code` */
	int code;   /* errno */
	file_step then;
};

struct aws_sources {
	char *file, *profile, *region;
	struct event_base *loop;
	aws_sources_found found;
	void *ctx;
	struct http_client *clients[2]; /* http, https; NULL: not used yet */
	struct offload *threads;
	struct file_task reading;
	struct http_transfer *transfer;
	struct curl_slist *headers;
	struct buffer body;
	reply_step then;
	size_t number; /* of the source that is being asked */
	struct buffer reasons;
	char metadata_token[512], role[ROLE_MAX + 1];
	bool closing;
};

/* The source that is being asked. */
static const struct source *current(const struct aws_sources *sources);

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

/* --- results --- */

static void clear_request(struct aws_sources *sources)
{
	http_transfer_free(take(sources->transfer));
	curl_slist_free_all(take(sources->headers));
	if (sources->body.data)
		explicit_bzero(sources->body.data, sources->body.size);
	buffer_deinit(&sources->body);
}

static void add_reason(struct aws_sources *sources, const char *text)
{
	(void)!buffer_printf(&sources->reasons, "; %s: %.300s", current(sources)->name, text);
}

static void end_search(struct aws_sources *sources)
{
	clear_request(sources);
	sources->found(sources->ctx, NULL, NULL, buffer_text(&sources->reasons));
}

/* The source is there, but has no key for us. */
static void fail(struct aws_sources *sources, const char *text)
{
	add_reason(sources, text);
	end_search(sources);
}

static void succeed(struct aws_sources *sources, struct aws_key *key)
{
	clear_request(sources);
	sources->found(sources->ctx, current(sources)->name, key, NULL);
	aws_key_deinit(key);
}

static void finish(struct aws_sources *sources, int r, struct aws_key *key, const struct error *err)
{
	if (r == 0)
		succeed(sources, key);
	else
		fail(sources, r == -ENOMEM ? "out of memory" : err->text);
}

/* --- files --- */

static void run_read(struct offload_task *task)
{
	struct file_task *file = container_of(task, struct file_task, task);
	cleanup(cleanup_close) int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = fd < 0 ? NULL : calloc(1, FILE_BYTES_MAX + 1);
	size_t size = 0;
	ssize_t got = 1;

	while (text && got > 0 && size < FILE_BYTES_MAX) {
		got = read(fd, text + size, FILE_BYTES_MAX - size);
		size += got > 0 ? (size_t)got : 0;
	}
	file->code = !text || got < 0 ? errno : size == FILE_BYTES_MAX ? EFBIG : 0;
	if (file->code) {
		free(text);
		text = NULL;
	}
	file->text = text;
}

static void done_read(struct offload_task *task)
{
	struct file_task *file = container_of(task, struct file_task, task);
	struct aws_sources *sources = container_of(file, struct aws_sources, reading);
	char *text = take(file->text);
	char error[PATH_MAX + 64] = "";

	if (!text)
		snprintf(error, sizeof(error), "%.256s: %s", file->path, strerror(file->code));
	if (!sources->closing)
		file->then(sources, text, text ? NULL : error);
	if (text)
		explicit_bzero(text, FILE_BYTES_MAX);
	free(text);
}

static int read_file(struct aws_sources *sources, const char *path, file_step then, struct error *err)
{
	struct file_task *file = &sources->reading;
	const int size = snprintf(file->path, sizeof(file->path), "%s", path);

	if (size >= (int)sizeof(file->path))
		return error_set(err, -EINVAL, "the path is too long");
	file->then = then;
	file->task = (struct offload_task){.run = run_read, .done = done_read};
	return offload_submit(sources->threads, &file->task) < 0 ? error_set(err, -EAGAIN, "no thread to read the file")
								 : 0;
}

/* --- requests --- */

static void on_reply(void *ctx, const struct http_reply *reply)
{
	struct aws_sources *sources = ctx;

	sources->then(sources, reply);
}

struct ask {
	const char *method, *url;
	const char *header, *value; /* NULL: none */
	bool form;		    /* the body is sources->body */
	long timeout_ms;
};

static size_t read_nothing(char *into, size_t size, size_t count, void *ctx)
{
	(void)into;
	(void)size;
	(void)count;
	(void)ctx;
	return 0;
}

static int set_request(struct aws_sources *sources, const struct ask *ask)
{
	CURL *easy = http_transfer_easy(sources->transfer);
	cleanup(buffer_deinit) struct buffer line = BUFFER_INIT(TEXT_MAX);
	int failed = 0;

	if (ask->header) {
		if (buffer_printf(&line, "%s: %s", ask->header, ask->value) < 0)
			return -ENOMEM;
		sources->headers = curl_slist_append(NULL, buffer_text(&line));
		explicit_bzero(line.data, line.size);
		if (!sources->headers)
			return -ENOMEM;
	}
	failed |= curl_easy_setopt(easy, CURLOPT_URL, ask->url);
	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ask->timeout_ms);
	failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, ask->timeout_ms);
	failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, sources->headers);
	if (ask->form) {
		failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)sources->body.size);
		failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buffer_text(&sources->body));
	} else if (strcmp(ask->method, "PUT") == 0) {
		failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		failed |= curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)0);
		failed |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_nothing);
	} else {
		failed |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, ask->method);
	}
	return failed ? -ENOMEM : 0;
}

static int send_request(struct aws_sources *sources, const struct ask *ask, reply_step then, struct error *err)
{
	const bool https = strncasecmp(ask->url, "https://", 8) == 0;
	struct http_client **client = &sources->clients[https];
	const struct http_client_options options = {.https = https, .verify = true};

	http_transfer_free(take(sources->transfer));
	curl_slist_free_all(take(sources->headers));
	if (!*client)
		*client = http_client_new(sources->loop, &options);
	sources->transfer = *client ? http_transfer_new(*client, on_reply, sources) : NULL;
	sources->then = then;
	if (!sources->transfer || set_request(sources, ask) < 0 || http_transfer_start(sources->transfer) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* Sends, or ends the search. */
static void go_on(struct aws_sources *sources, const struct ask *ask, reply_step then)
{
	struct error err;

	if (send_request(sources, ask, then, &err) < 0)
		fail(sources, err.text);
}

/* What went wrong with the request, or NULL: it was answered with 200. */
static const char *describe(const struct http_reply *reply, char text[static 512])
{
	char code[64], message[256];

	if (reply->status == 200 && reply->result == CURLE_OK)
		return NULL;
	if (reply->status == 0 || reply->result != CURLE_OK) {
		report_text_copy(text, 512, reply->error);
		return text;
	}
	xml_text(reply->body, "Code", code, sizeof(code));
	xml_text(reply->body, "Message", message, sizeof(message));
	snprintf(text, 512, "HTTP %ld%s%s%s%s", reply->status, *code ? ": " : "", code, *message ? ": " : "", message);
	return text;
}

/* --- the environment --- */

static int start_environment(struct aws_sources *sources, struct error *err)
{
	struct aws_key key;
	int r;

	if (!*environment("AWS_ACCESS_KEY_ID"))
		return error_set(err, -ENOENT, "AWS_ACCESS_KEY_ID is not set");
	r = aws_key_init(&key, environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"),
			 environment("AWS_SESSION_TOKEN"), err);
	if (r == 0)
		succeed(sources, &key);
	return r;
}

/* --- the shared file --- */

/* Goes on with the next source. */
static void try_from(struct aws_sources *sources, size_t number);

static void on_shared_file(struct aws_sources *sources, char *text, const char *error)
{
	const char *profile = *sources->profile ? sources->profile : environment("AWS_PROFILE");
	const bool chosen = *profile || *sources->file || *environment("AWS_SHARED_CREDENTIALS_FILE");
	struct aws_key key;
	struct error err;
	const int r = text ? aws_key_from_profile(&key, text, *profile ? profile : "default", &err)
			   : error_set(&err, -ENOENT, "%s", error);

	if (text && r < 0 && r != -ENOMEM)
		error_prefix(&err, "%.256s", sources->reading.path);
	if (r != -ENOENT || chosen) {
		finish(sources, r, &key, &err);
		return;
	}
	add_reason(sources, err.text);
	try_from(sources, sources->number + 1);
}

static int start_shared_file(struct aws_sources *sources, struct error *err)
{
	const char *path = *sources->file ? sources->file : environment("AWS_SHARED_CREDENTIALS_FILE");
	const char *home = environment("HOME");
	char usual[PATH_MAX];

	if (!*path && !*home)
		return error_set(err, -ENOENT, "neither AWS_SHARED_CREDENTIALS_FILE nor HOME is set");
	if (!*path) {
		snprintf(usual, sizeof(usual), "%s/.aws/credentials", home);
		path = usual;
	}
	return read_file(sources, path, on_shared_file, err);
}

/* --- web identity --- */

static void on_sts(struct aws_sources *sources, const struct http_reply *reply)
{
	char text[512];
	const char *fault = describe(reply, text);
	struct aws_key key;
	struct error err;
	const int r = fault ? error_set(&err, -EINVAL, "STS: %s", fault) : aws_key_from_xml(&key, reply->body, &err);

	finish(sources, r, &key, &err);
}

static int make_sts_form(struct aws_sources *sources, const char *token)
{
	const char *session = environment("AWS_ROLE_SESSION_NAME");
	const struct aws_pair fields[] = {
		{"Action", "AssumeRoleWithWebIdentity"},
		{"RoleArn", environment("AWS_ROLE_ARN")},
		{"RoleSessionName", *session ? session : "pcapdaemon"},
		{"Version", "2011-06-15"},
		{"WebIdentityToken", token},
	};

	sources->body = (struct buffer)BUFFER_INIT(4 * TEXT_MAX);
	return aws_query(&sources->body, fields, sizeof(fields) / sizeof(*fields));
}

static void on_identity_token(struct aws_sources *sources, char *text, const char *error)
{
	const char *url = *environment("AWS_ENDPOINT_URL_STS") ? environment("AWS_ENDPOINT_URL_STS")
							       : environment("AWS_ENDPOINT_URL");
	const bool china = strncmp(sources->region, "cn-", 3) == 0;
	char usual[256];

	if (!text) {
		fail(sources, error);
		return;
	}
	text[strcspn(text, "\r\n")] = '\0';
	snprintf(usual, sizeof(usual), "https://sts.%.64s.amazonaws.com%s/", sources->region, china ? ".cn" : "");
	if (make_sts_form(sources, text) < 0)
		fail(sources, "the token is too long");
	else
		go_on(sources, &(struct ask){.url = *url ? url : usual, .form = true, .timeout_ms = STS_TIMEOUT_MS},
		      on_sts);
}

static int start_web_identity(struct aws_sources *sources, struct error *err)
{
	const char *path = environment("AWS_WEB_IDENTITY_TOKEN_FILE");

	if (!*path)
		return error_set(err, -ENOENT, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
	if (!*environment("AWS_ROLE_ARN"))
		return error_set(err, -EINVAL, "AWS_ROLE_ARN is not set");
	return read_file(sources, path, on_identity_token, err);
}

/* --- a container's metadata --- */

static void on_json(struct aws_sources *sources, const struct http_reply *reply)
{
	char text[512];
	const char *fault = describe(reply, text);
	struct aws_key key;
	struct error err;
	const int r = fault ? error_set(&err, -EINVAL, "%s", fault)
			    : aws_key_from_json(&key, reply->body, reply->body_size, &err);

	finish(sources, r, &key, &err);
}

/* Whether a token may be sent there. */
static bool is_safe_url(const char *url)
{
	static const char *const hosts[] = {"http://127.",	    "http://localhost",	     "http://[::1]",
					    "http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]"};

	if (strncasecmp(url, "https://", 8) == 0)
		return true;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		const char *after = url + strlen(hosts[i]);

		if (strncasecmp(url, hosts[i], strlen(hosts[i])) != 0)
			continue;
		after += hosts[i][strlen(hosts[i]) - 1] == '.' ? strspn(after, "0123456789.") : 0;
		if (*after == '\0' || *after == '/' || *after == ':')
			return true;
	}
	return false;
}

static int ask_container(struct aws_sources *sources, const char *token, struct error *err)
{
	const char *relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	cleanup(buffer_deinit) struct buffer url = BUFFER_INIT(TEXT_MAX);

	if ((*relative ? buffer_printf(&url, CONTAINER_URL "%s", relative) : buffer_append_string(&url, full)) < 0)
		return error_set(err, -EINVAL, "the address is too long");
	if (strpbrk(token, "\r\n"))
		return error_set(err, -EINVAL, "the authorization token has a line break");
	if (!*relative && !is_safe_url(full))
		return error_set(err, -EINVAL, "%.200s: plain HTTP is for loopback and the fixed addresses only", full);
	return send_request(sources,
			    &(struct ask){.method = "GET",
					  .url = buffer_text(&url),
					  .header = *token ? "Authorization" : NULL,
					  .value = token,
					  .timeout_ms = METADATA_TIMEOUT_MS},
			    on_json, err);
}

static void on_container_token(struct aws_sources *sources, char *text, const char *error)
{
	struct error err;

	if (text)
		text[strcspn(text, "\r\n")] = '\0';
	if (!text)
		fail(sources, error);
	else if (ask_container(sources, text, &err) < 0)
		fail(sources, err.text);
}

static int start_container(struct aws_sources *sources, struct error *err)
{
	const char *path = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");

	if (!*environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") &&
	    !*environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
		return error_set(err, -ENOENT, "AWS_CONTAINER_CREDENTIALS_… is not set");
	return *path ? read_file(sources, path, on_container_token, err)
		     : ask_container(sources, environment("AWS_CONTAINER_AUTHORIZATION_TOKEN"), err);
}

/* --- an instance's metadata --- */

static int ask_instance(struct aws_sources *sources, const char *path, reply_step then, struct error *err)
{
	const char *base = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	cleanup(buffer_deinit) struct buffer url = BUFFER_INIT(TEXT_MAX);
	const bool is_token = !*sources->metadata_token;
	size_t size;

	base = *base ? base : INSTANCE_URL;
	size = strlen(base);
	while (size > 0 && base[size - 1] == '/')
		size--;
	if (buffer_append(&url, base, size) < 0 || buffer_append_string(&url, path) < 0)
		return error_set(err, -EINVAL, "the address is too long");
	return send_request(sources,
			    &(struct ask){.method = is_token ? "PUT" : "GET",
					  .url = buffer_text(&url),
					  .header = is_token ? "X-aws-ec2-metadata-token-ttl-seconds"
							     : "X-aws-ec2-metadata-token",
					  .value = is_token ? "60" : sources->metadata_token,
					  .timeout_ms = METADATA_TIMEOUT_MS},
			    then, err);
}

static void go_on_instance(struct aws_sources *sources, const char *path, reply_step then)
{
	struct error err;

	if (ask_instance(sources, path, then, &err) < 0)
		fail(sources, err.text);
}

static void on_role(struct aws_sources *sources, const struct http_reply *reply)
{
	char text[512], path[sizeof(ROLE_PATH) + ROLE_MAX];
	const char *fault = describe(reply, text);
	const size_t size = strcspn(reply->body, "\r\n");

	if (reply->status == 404 || (!fault && size == 0)) {
		fail(sources, "the instance has no role");
		return;
	}
	if (!fault && (size > ROLE_MAX || strspn(reply->body, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
							      "0123456789+=,.@_-") < size))
		fault = "the name of its role is odd";
	if (fault) {
		fail(sources, fault);
		return;
	}
	snprintf(path, sizeof(path), "%s%.*s", ROLE_PATH, (int)size, reply->body);
	go_on_instance(sources, path, on_json);
}

static void on_metadata_token(struct aws_sources *sources, const struct http_reply *reply)
{
	char text[512];
	const char *fault = describe(reply, text);

	if (!fault && (strcspn(reply->body, "\r\n") >= sizeof(sources->metadata_token) || !*reply->body))
		fault = "its token is odd";
	if (fault) {
		fail(sources, fault);
		return;
	}
	snprintf(sources->metadata_token, sizeof(sources->metadata_token), "%.*s", (int)strcspn(reply->body, "\r\n"),
		 reply->body);
	go_on_instance(sources, ROLE_PATH, on_role);
}

static int start_instance(struct aws_sources *sources, struct error *err)
{
	if (strcasecmp(environment("AWS_EC2_METADATA_DISABLED"), "true") == 0)
		return error_set(err, -ENOENT, "AWS_EC2_METADATA_DISABLED is set");
	sources->metadata_token[0] = '\0';
	return ask_instance(sources, "/latest/api/token", on_metadata_token, err);
}

/* --- all of them --- */

static const struct source all[] = {
	{"environment", false, true, start_environment},     {"shared file", true, false, start_shared_file},
	{"web identity", false, false, start_web_identity},  {"container", false, false, start_container},
	{"instance metadata", false, false, start_instance},
};

#define SOURCES (sizeof(all) / sizeof(*all))

static const struct source *current(const struct aws_sources *sources)
{
	return &all[sources->number < SOURCES ? sources->number : SOURCES - 1];
}

static void try_from(struct aws_sources *sources, size_t number)
{
	struct error err;
	int r = -ENOENT;

	for (sources->number = number; sources->number < SOURCES; sources->number++) {
		r = all[sources->number].start(sources, &err);
		if (r == 0)
			return;
		add_reason(sources, r == -ENOMEM ? "out of memory" : err.text);
		if (r != -ENOENT)
			break;
	}
	end_search(sources);
}

void aws_sources_search(struct aws_sources *sources)
{
	buffer_clear(&sources->reasons);
	(void)!buffer_append_string(&sources->reasons, "no access key: configuration: accessid is not set");
	try_from(sources, 0);
}

static const struct source *find(const char *name)
{
	for (size_t i = 0; i < SOURCES; i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	return NULL;
}

bool aws_sources_is_file(const char *source)
{
	const struct source *found = find(source);

	return found && found->is_file;
}

bool aws_sources_is_fixed(const char *source)
{
	const struct source *found = find(source);

	return found && found->is_fixed;
}

void aws_sources_free(struct aws_sources *sources)
{
	if (!sources)
		return;
	sources->closing = true;
	clear_request(sources);
	offload_free(sources->threads);
	for (size_t i = 0; i < 2; i++)
		http_client_free(sources->clients[i]);
	buffer_deinit(&sources->reasons);
	explicit_bzero(sources->metadata_token, sizeof(sources->metadata_token));
	free(sources->file);
	free(sources->profile);
	free(sources->region);
	free(sources);
}

CLEANUP_DEFINE(aws_sources, struct aws_sources, aws_sources_free)

struct aws_sources *aws_sources_new(struct event_base *loop, const struct aws_credentials_options *options,
				    aws_sources_found found, void *ctx)
{
	cleanup(cleanup_aws_sources) struct aws_sources *sources = calloc(1, sizeof(*sources));

	if (!sources)
		return NULL;
	sources->loop = loop;
	sources->found = found;
	sources->ctx = ctx;
	sources->reasons = (struct buffer)BUFFER_INIT(4096);
	sources->file = strdup(options->file);
	sources->profile = strdup(options->profile);
	sources->region = strdup(options->region);
	sources->threads = offload_new(loop, "credentials", 1, 4);
	if (!sources->file || !sources->profile || !sources->region || !sources->threads)
		return NULL;
	return take(sources);
}
