/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcurl's multi interface driven by libevent: libcurl names the sockets it waits for and its next time-out, the loop
 * reports both, and finished transfers are collected after every such call. None of our callbacks inside libcurl calls
 * a sink: `done` is called only after libcurl has returned.
 *
 * HTTP/1.1 on purpose: an upload fills its connection anyway, and libcurl 7.88's HTTP/2 uploads on a multi handle have
 * known stalls. Cancelling never joins a resolver's thread (CURLOPT_QUICK_EXIT): a hanging name server must not hang
 * the loop.
 */
#include "http/http_client.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/own_traffic.h"
#include "http/speed_window.h"

#define CONNECT_TIMEOUT_S 10L
#define WINDOW_DEFAULT_NS (60 * NS_PER_S)
#define MIN_SPEED_DEFAULT 1024 /* bytes a second */
#define IDLE_CONNECTIONS_MAX 4L
#define DESCRIPTORS_WANTED 3 /* by one transfer besides those it has: a resolver's pair, a file */

struct http_client {
	struct event_base *loop;
	struct event *timer;
	CURLM *multi;
	bool https, verify;
	char *ca_file;		    /* NULL: the system's authorities */
	char *cert_file, *key_file; /* NULL: none */
	long timeout_ms;
	uint64_t min_speed, window_ns;
};

struct http_transfer {
	struct http_client *client;
	CURL *easy;
	bool added;
	struct buffer body;
	char error[CURL_ERROR_SIZE];
	bool no_descriptors;
	struct event *sampler;
	struct speed_window speed; /* of bytes sent and received */
	http_transfer_done done;
	void *ctx;
};

/* --- libcurl ↔ libevent --- */

/* True if append_body() ended the transfer at the cap. */
bool http_reply_oversized(const struct http_reply *reply)
{
	return reply->result == CURLE_WRITE_ERROR && reply->body_size == HTTP_REPLY_BYTES_MAX;
}

/*
 * Whether there are descriptors left for what libcurl opens besides the socket: the authorities' file, a resolver's
 * pair. If there are not, it reports that the file is unreadable or the name unknown.
 */
static bool can_open_files(void)
{
	int fds[DESCRIPTORS_WANTED], count = 0;

	while (count < DESCRIPTORS_WANTED && (fds[count] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
		count++;
	const bool enough = count == DESCRIPTORS_WANTED || (errno != EMFILE && errno != ENFILE);
	while (count > 0)
		close(fds[--count]);
	return enough;
}

/* Called by libcurl for a socket. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_transfer *transfer = ctx;
	const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd < 0)
		transfer->no_descriptors = errno == EMFILE || errno == ENFILE;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void complete_transfer(struct http_client *client, CURL *easy, CURLcode result)
{
	struct http_transfer *transfer = NULL;
	struct http_reply reply = {.result = result};
	char *redirect = NULL;
	curl_off_t retry_after_s = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &redirect);
	curl_multi_remove_handle(client->multi, easy);
	transfer->added = false;
	event_del(transfer->sampler);

	reply.error = transfer->error;
	if (result != CURLE_OK && !transfer->error[0])
		reply.error = curl_easy_strerror(result);
	reply.body = buffer_text(&transfer->body);
	reply.body_size = transfer->body.size;
	if (http_reply_oversized(&reply))
		reply.error = "the answer is too long";
	reply.no_descriptors = result != CURLE_OK && !reply.status && (transfer->no_descriptors || !can_open_files());
	if (reply.no_descriptors)
		reply.error = "too many open files: no descriptor is left (LimitNOFILE)";
	reply.redirect = redirect;
	if (retry_after_s > 0 && __builtin_mul_overflow((uint64_t)retry_after_s, NS_PER_S, &reply.retry_after_ns))
		reply.retry_after_ns = UINT64_MAX;
	transfer->done(transfer->ctx, &reply);
}

/* --- minimum speed --- */

static void sample_later(struct http_transfer *transfer)
{
	const uint64_t wait_ns = transfer->client->window_ns / SPEED_WINDOW_SAMPLES;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				     .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / 1000)};

	(void)event_add(transfer->sampler, &wait);
}

static void on_sample(evutil_socket_t fd, short events, void *ctx)
{
	struct http_transfer *transfer = ctx;
	const struct http_client *client = transfer->client;
	curl_off_t sent = 0, received = 0;
	uint64_t recent;

	(void)fd;
	(void)events;
	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
	if (!speed_window_is_slow(&transfer->speed, (uint64_t)sent + (uint64_t)received, &recent)) {
		sample_later(transfer);
		return;
	}
	snprintf(transfer->error, sizeof(transfer->error),
		 "%llu bytes in the last %.12g s are too slow (limits.upload_speed)", (unsigned long long)recent,
		 (double)client->window_ns / NS_PER_S);
	complete_transfer(transfer->client, transfer->easy, CURLE_OPERATION_TIMEDOUT);
}

static void collect_finished(struct http_client *client)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			complete_transfer(client, message->easy_handle, message->data.result);
}

static void on_socket(evutil_socket_t fd, short events, void *ctx)
{
	struct http_client *client = ctx;
	int what = (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0), running;

	curl_multi_socket_action(client->multi, fd, what, &running);
	collect_finished(client);
}

static void on_timer(evutil_socket_t fd, short events, void *ctx)
{
	struct http_client *client = ctx;
	int running;

	(void)fd;
	(void)events;
	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect_finished(client);
}

/*
 * Called by libcurl to wait for other events of a socket; `socket_ctx` is the socket's previous event. Without memory
 * for an event the transfer ends as a stalled one does: an error returned here would end the whole multi handle.
 */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
	struct http_client *client = ctx;
	struct event *event = socket_ctx;
	short events = EV_PERSIST;

	(void)easy;
	if (event)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		own_traffic_add(fd);
		if (what & CURL_POLL_IN)
			events |= EV_READ;
		if (what & CURL_POLL_OUT)
			events |= EV_WRITE;
		event = event_new(client->loop, fd, events, on_socket, client);
		if (event)
			(void)event_add(event, NULL);
	}
	curl_multi_assign(client->multi, fd, event);
	return 0;
}

/* Called by libcurl with its next time-out; -1: none. */
static int on_curl_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct http_client *client = ctx;
	struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	(void)multi;
	if (timeout_ms < 0)
		return event_del(client->timer);
	return event_add(client->timer, &timeout);
}

/* --- the client --- */

static long round_up(uint64_t ns, uint64_t unit_ns)
{
	uint64_t units = ns / unit_ns + (ns % unit_ns != 0);

	return units > INT32_MAX ? INT32_MAX : (long)units;
}

/* Copies a path; NULL or "" becomes NULL. */
static int copy_path(char **copy, const char *path)
{
	if (!path || !*path)
		return 0;
	*copy = strdup(path);
	return *copy ? 0 : -ENOMEM;
}

struct http_client *http_client_new(struct event_base *loop, const struct http_client_options *options)
{
	struct http_client *client;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	client = calloc(1, sizeof(*client));
	if (!client) {
		curl_global_cleanup();
		return NULL;
	}
	client->loop = loop;
	client->https = options->https;
	client->verify = options->verify;
	client->timeout_ms = round_up(options->timeout_ns, NS_PER_MS);
	client->min_speed = options->min_speed ? options->min_speed : MIN_SPEED_DEFAULT;
	client->window_ns = options->window_ns ? options->window_ns : WINDOW_DEFAULT_NS;
	client->timer = evtimer_new(loop, on_timer, client);
	client->multi = curl_multi_init();
	if (copy_path(&client->ca_file, options->ca_file) < 0 ||
	    copy_path(&client->cert_file, options->cert_file) < 0 ||
	    copy_path(&client->key_file, options->key_file) < 0 || !client->timer || !client->multi ||
	    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) != CURLM_OK ||
	    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) != CURLM_OK ||
	    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) != CURLM_OK ||
	    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) != CURLM_OK ||
	    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX) != CURLM_OK) {
		http_client_free(client);
		return NULL;
	}
	return client;
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	if (client->multi)
		curl_multi_cleanup(client->multi);
	if (client->timer)
		event_free(client->timer);
	free(client->ca_file);
	free(client->cert_file);
	free(client->key_file);
	free(client);
	curl_global_cleanup();
}

/* --- a transfer --- */

/* Stores the answer's body up to the cap. Beyond it, the short count makes libcurl end the transfer
 * (CURLE_WRITE_ERROR). */
static size_t append_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct http_transfer *transfer = ctx;
	size_t room = HTTP_REPLY_BYTES_MAX - transfer->body.size, total = size * count;

	if (buffer_append(&transfer->body, bytes, total < room ? total : room) < 0)
		return 0;
	return total <= room ? total : 0;
}

static CURLcode set_transfer_options(struct http_transfer *transfer)
{
	const struct http_client *client = transfer->client;
	CURL *easy = transfer->easy;
	int failed = 0;

	failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append_body);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "pcapdaemon/" PCAPDAEMON_VERSION);
	failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, client->https ? "https" : "http");
	failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	if (!client->https) /* a proxy of the environment would read the token; with https it only sees host and port */
		failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	failed |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, client->verify ? 1L : 0L);
	failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, client->verify ? 2L : 0L);
	if (client->ca_file)
		failed |= curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
	if (client->cert_file)
		failed |= curl_easy_setopt(easy, CURLOPT_SSLCERT, client->cert_file);
	if (client->key_file)
		failed |= curl_easy_setopt(easy, CURLOPT_SSLKEY, client->key_file);
#if LIBCURL_VERSION_NUM >= 0x075700
	if (client->ca_file) /* libcurl would keep what it read for a day; the file may be replaced */
		failed |= curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
	failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, client->timeout_ms);
	return failed ? CURLE_FAILED_INIT : CURLE_OK;
}

struct http_transfer *http_transfer_new(struct http_client *client, http_transfer_done done, void *ctx)
{
	cleanup(cleanup_http_transfer) struct http_transfer *transfer = calloc(1, sizeof(*transfer));

	if (!transfer)
		return NULL;
	transfer->client = client;
	transfer->body = (struct buffer)BUFFER_INIT(HTTP_REPLY_BYTES_MAX);
	transfer->speed = (struct speed_window){.min_speed = client->min_speed, .window_ns = client->window_ns};
	transfer->done = done;
	transfer->ctx = ctx;
	transfer->easy = curl_easy_init();
	transfer->sampler = evtimer_new(client->loop, on_sample, transfer);
	if (!transfer->easy || !transfer->sampler || set_transfer_options(transfer) != CURLE_OK)
		return NULL;
	return take(transfer);
}

CURL *http_transfer_easy(struct http_transfer *transfer)
{
	return transfer->easy;
}

int http_transfer_start(struct http_transfer *transfer)
{
	if (curl_multi_add_handle(transfer->client->multi, transfer->easy) != CURLM_OK)
		return -ENOMEM;
	transfer->added = true;
	sample_later(transfer);
	return 0;
}

void http_transfer_free(struct http_transfer *transfer)
{
	if (!transfer)
		return;
	if (transfer->added)
		curl_multi_remove_handle(transfer->client->multi, transfer->easy);
	curl_easy_cleanup(transfer->easy);
	if (transfer->sampler)
		event_free(transfer->sampler);
	buffer_deinit(&transfer->body);
	free(transfer);
}
