/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcurl's multi interface, driven by local_client_run. The daemon's answers are bounded: JSON by LOCAL_REPLY_MAX;
 * everything else is passed on as it arrives. An answer has no time limit, because the API waits for captures; TCP
 * keep-alive detects a dead peer.
 */
#include "pcapctl/local/local_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/printable.h"
#include "pcapctl/cli/command_target.h"
#include "pcapctl/cli/refusal_text.h"
#include "pcapctl/output/format.h"

#define CONNECT_TIMEOUT_S 10L
#define URL_MAX 16384 /* bytes */
#define REFUSAL_SIZE 900

struct local_client {
	const struct command_target *target;
	CURLM *multi;
	struct curl_waitfd output;
};

struct local_call {
	struct local_client *client;
	struct local_call_request request;
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	struct buffer reply;
	char name[LOCAL_NAME_SIZE];
	char error[CURL_ERROR_SIZE];
	json_t *json;
	bool added, finished, paused;
	CURLcode result;
};

/* --- lifetime --- */

struct local_client *local_client_new(const struct command_target *target, struct error *err)
{
	struct local_client *client = calloc(1, sizeof(*client));

	if (client && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		client->multi = curl_multi_init();
	if (!client || !client->multi) {
		free(client);
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	client->target = target;
	client->output.fd = -1;
	return client;
}

void local_client_free(struct local_client *client)
{
	if (!client)
		return;
	curl_multi_cleanup(client->multi);
	free(client);
}

void local_call_free(struct local_call *call)
{
	if (!call)
		return;
	if (call->added)
		curl_multi_remove_handle(call->client->multi, call->easy);
	curl_easy_cleanup(call->easy);
	for (struct curl_slist *header = call->headers; header; header = header->next)
		explicit_bzero(header->data, strlen(header->data)); /* the token */
	curl_slist_free_all(call->headers);
	free(call->body);
	buffer_deinit(&call->reply);
	json_decref(call->json);
	free(call);
}

int url_encode(struct buffer *path, const char *text)
{
	static const char plain[] = PLAIN_CHARACTERS "~";
	int r = 0;

	for (; r == 0 && *text; text++)
		r = strchr(plain, *text) ? buffer_append(path, text, 1)
					 : buffer_printf(path, "%%%02X", (unsigned)(unsigned char)*text);
	return r;
}

/* --- answers --- */

static bool is_success(const struct local_call *call)
{
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status < 300;
}

static size_t on_body(char *bytes, size_t unused, size_t size, void *ctx)
{
	struct local_call *call = ctx;

	(void)unused;
	if (call->paused)
		return CURL_WRITEFUNC_PAUSE;
	if (call->request.put && is_success(call))
		return call->request.put(call->request.ctx, bytes, size) ? size : 0;
	if (call->reply.size + size > LOCAL_REPLY_MAX)
		return 0;
	return buffer_append(&call->reply, bytes, size) < 0 ? 0 : size;
}

/* Content-Disposition: attachment; filename="NAME" */
static size_t on_header(char *bytes, size_t unused, size_t size, void *ctx)
{
	static const char field[] = "content-disposition:", key[] = "filename=\"";
	struct local_call *call = ctx;
	const char *name, *end;

	(void)unused;
	if (size < strlen(field) || strncasecmp(bytes, field, strlen(field)) != 0)
		return size;
	name = memmem(bytes, size, key, strlen(key));
	if (!name)
		return size;
	name += strlen(key);
	end = memchr(name, '"', size - (size_t)(name - bytes));
	if (end && (size_t)(end - name) < sizeof(call->name))
		snprintf(call->name, sizeof(call->name), "%.*s", (int)(end - name), name);
	return size;
}

/* --- requests --- */

static int add_header(struct local_call *call, const char *line)
{
	struct curl_slist *longer = curl_slist_append(call->headers, line);

	if (!longer)
		return -ENOMEM;
	call->headers = longer;
	return 0;
}

static int set_headers(struct local_call *call)
{
	const char *token = call->client->target->token;
	char *line = NULL;
	int r = add_header(call, "Expect:");

	if (r == 0 && call->body)
		r = add_header(call, "Content-Type: application/json");
	if (r < 0 || !token)
		return r;
	if (asprintf(&line, "Authorization: Bearer %s", token) < 0)
		return -ENOMEM;
	r = add_header(call, line);
	explicit_bzero(line, strlen(line));
	free(line);
	return r;
}

static CURLcode set_options(struct local_call *call, const char *url)
{
	const struct command_target *target = call->client->target;

	CURL *easy = call->easy;
	const struct {
		CURLoption option;
		const void *value;
	} pointers[] = {
		{CURLOPT_URL, url},
		{CURLOPT_UNIX_SOCKET_PATH, target->socket},
		{CURLOPT_CUSTOMREQUEST, call->request.method},
		{CURLOPT_HTTPHEADER, call->headers},
		{CURLOPT_ERRORBUFFER, call->error},
		{CURLOPT_WRITEDATA, call},
		{CURLOPT_HEADERDATA, call},
		{CURLOPT_PRIVATE, call},
		{CURLOPT_PROTOCOLS_STR, "http,https"},
		{CURLOPT_PROXY, ""},
		{CURLOPT_CAINFO, target->ca_file},
		{CURLOPT_POSTFIELDS, call->body},
	};
	CURLcode r = CURLE_OK;

	for (size_t i = 0; r == CURLE_OK && i < sizeof(pointers) / sizeof(*pointers); i++)
		if (pointers[i].value)
			r = curl_easy_setopt(easy, pointers[i].option, pointers[i].value);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	return r;
}

static int prepare(struct local_call *call)
{
	const struct command_target *target = call->client->target;
	cleanup(buffer_deinit) struct buffer url = BUFFER_INIT(URL_MAX);

	call->easy = curl_easy_init();
	const bool has_body = call->request.body || call->request.text;
	if (has_body)
		call->body =
			call->request.text ? strdup(call->request.text) : json_dumps(call->request.body, JSON_COMPACT);
	if (!call->easy || (has_body && !call->body) || set_headers(call) < 0)
		return -ENOMEM;
	if (buffer_printf(&url, "%s%s", target->api ? target->api : "http://pcapdaemon", call->request.path) < 0)
		return -EMSGSIZE;
	if (set_options(call, buffer_text(&url)) != CURLE_OK ||
	    curl_multi_add_handle(call->client->multi, call->easy) != CURLM_OK)
		return -ENOMEM;
	call->added = true;
	return 0;
}

struct local_call *local_call_start(struct local_client *client, const struct local_call_request *request,
				    struct error *err)
{
	cleanup(cleanup_local_call) struct local_call *call = calloc(1, sizeof(*call));
	int r = call ? 0 : -ENOMEM;

	if (call) {
		call->client = client;
		call->request = *request;
		call->reply = (struct buffer)BUFFER_INIT(LOCAL_REPLY_MAX);
		r = prepare(call);
	}
	if (r == 0)
		return take(call);
	error_set(err, r, "%s", r == -EMSGSIZE ? "the request is too long" : "out of memory");
	return NULL;
}

/* --- running --- */

/* Returns whether a call has finished. */
static bool collect_finished(struct local_client *client)
{
	bool any = false;

	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left))) {
		struct local_call *call = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		call->finished = true;
		call->result = message->data.result;
		any = true;
	}
	return any;
}

void local_call_pause(struct local_call *call, bool paused)
{
	if (call->paused == paused)
		return;
	call->paused = paused;
	if (!paused && !call->finished)
		curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

void local_client_watch_output(struct local_client *client, int fd, bool for_room)
{
	client->output = (struct curl_waitfd){.fd = fd, .events = for_room ? CURL_WAIT_POLLOUT : 0};
}

int local_client_run(struct local_client *client, int timeout_ms, int fd, struct error *err)
{
	struct curl_waitfd extra[2] = {{.fd = fd, .events = CURL_WAIT_POLLIN}};
	unsigned count = fd >= 0;
	int running;

	if (client->output.fd >= 0)
		extra[count++] = client->output;

	if (curl_multi_perform(client->multi, &running) != CURLM_OK)
		return error_set(err, -EIO, "libcurl failed");
	if (collect_finished(client))
		return 0;
	if (curl_multi_poll(client->multi, extra, count, timeout_ms, NULL) != CURLM_OK ||
	    curl_multi_perform(client->multi, &running) != CURLM_OK)
		return error_set(err, -EIO, "libcurl failed");
	collect_finished(client);
	return 0;
}

bool local_call_finished(const struct local_call *call)
{
	return call->finished;
}

/* --- results --- */

static int socket_error(const struct local_call *call, int number, struct error *err)
{
	const char *path = call->client->target->socket;

	if (number == ENOENT)
		return error_set(err, -ENOENT,
				 "cannot reach %s: no such file; is pcapdaemon running? start it with `systemctl start "
				 "pcapdaemon`, or name its socket with --socket",
				 path);
	if (number == EACCES || number == EPERM)
		return error_set(err, -EACCES,
				 "cannot reach %s: permission denied; run pcapctl as root or join the group "
				 "pcapdaemon, as with `sudo usermod -aG pcapdaemon $USER`",
				 path);
	if (number == ECONNREFUSED)
		return error_set(
			err, -ECONNREFUSED,
			"cannot reach %s: connection refused; start pcapdaemon with `systemctl start pcapdaemon`",
			path);
	return error_set(err, -EIO, "cannot reach %s: %s", path, number ? strerror(number) : call->error);
}

static int transfer_error(const struct local_call *call, struct error *err)
{
	const struct command_target *target = call->client->target;
	char shown[CURL_ERROR_SIZE];
	long number = 0;

	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &number);
	printable(shown, sizeof(shown), call->error[0] ? call->error : curl_easy_strerror(call->result));
	if (call->result == CURLE_COULDNT_CONNECT && target->socket)
		return socket_error(call, (int)number, err);
	if (call->result == CURLE_COULDNT_CONNECT || call->result == CURLE_COULDNT_RESOLVE_HOST ||
	    call->result == CURLE_OPERATION_TIMEDOUT)
		return error_set(err, -EIO, "cannot reach %s: %s; is the daemon running, and is [api] listen set?",
				 target->api, shown);
	if (call->result == CURLE_SSL_CACERT_BADFILE)
		return error_set(err, -EIO, "cannot connect to %s: no certificates in %s", target->api,
				 target->ca_file ? target->ca_file : "the system's file");
	if (call->result == CURLE_SSL_CONNECT_ERROR)
		return error_set(err, -EIO, "cannot connect to %s: TLS: %s; does the daemon use it ([api] cert_file)?",
				 target->api, shown);
	if (call->result == CURLE_PEER_FAILED_VERIFICATION)
		return error_set(err, -EIO, "%s: %s; name the CA that signed its certificate with --ca-file",
				 target->api, shown);
	if (call->result == CURLE_WRITE_ERROR)
		return error_set(err, -EFBIG, "the daemon's answer is larger than %zu bytes", LOCAL_REPLY_MAX);
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &number);
	if (number == 0 && target->api && strncmp(target->api, "http://", 7) == 0)
		return error_set(err, -EIO, "%s does not answer: %s; if the daemon uses TLS, use https://", target->api,
				 shown);
	return error_set(err, -EIO, "the daemon's answer broke off: %s", shown);
}

int local_call_result(struct local_call *call, const json_t **json, struct error *err)
{
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (call->result != CURLE_OK)
		return transfer_error(call, err);
	if (!call->json && call->reply.size > 0)
		call->json = json_loadb(buffer_text(&call->reply), call->reply.size, JSON_REJECT_DUPLICATES, NULL);
	if (!call->json && !call->request.put && status < 300)
		return error_set(err, -EPROTO, "the daemon's answer (%ld) is not JSON; is pcapdaemon listening there?",
				 status);
	*json = call->json;
	return (int)status;
}

void local_call_refusal(const struct local_call *call, int status, struct error *err)
{
	const char *text = json_string_value(json_object_get(call->json, "error"));
	cleanup(buffer_deinit) struct buffer reason = BUFFER_INIT(REFUSAL_SIZE);
	char shown[REFUSAL_SIZE];

	if (text)
		text = refusal_text(json_text(call->json, "field"), text, &reason);
	printable(shown, sizeof(shown), text ? text : "the daemon gave no reason");
	if (status == 401 && !call->client->target->token)
		error_set(err, -EACCES, "%s; give the daemon's token with --token-file", shown);
	else if (text)
		error_set(err, -EINVAL, "%s", shown);
	else
		error_set(err, -EINVAL, "the daemon answered %d and gave no reason", status);
}

const char *local_call_file_name(const struct local_call *call)
{
	return call->name;
}

int local_call_json(struct local_client *client, const struct local_call_request *request, json_t **json,
		    struct error *err)
{
	cleanup(cleanup_local_call) struct local_call *call = local_call_start(client, request, err);
	const json_t *answer = NULL;
	int r = call ? 0 : -ENOMEM;

	while (r == 0 && !local_call_finished(call))
		r = local_client_run(client, 1000, -1, err);
	if (r < 0)
		return r;
	r = local_call_result(call, &answer, err);
	if (r < 0)
		return r;
	if (r >= 300) {
		local_call_refusal(call, r, err);
		return -EINVAL;
	}
	*json = json_incref(call->json);
	return 0;
}
