/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An upload is a connection of its own: handshake, check of the server's key, log-in, the file under a temporary name
 * (".<name>.<hash>.part", the same for every attempt of a capture), rename. libcurl makes missing directories.
 *
 * On threads, because libcurl waits for the server when it closes an SSH connection, up to a second for one that hangs,
 * and because encrypting takes the CPU.
 *
 * SFTP's rename (version 3) fails if the new name is taken. The one who has it may be an earlier attempt, whose answer
 * was lost. So the file there is read and compared: the same bytes are a success, other ones a refusal.
 *
 * Cancelling must not wait for the network. Packets are read only under the attempt's lock. So cancelling waits for at
 * most one copy in memory and takes the stream away; libcurl asks at least once a second whether to go on.
 */
#include "sink/sftp_sink.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/name_template.h"
#include "base/offload.h"
#include "base/own_traffic.h"
#include "base/printable.h"
#include "base/secret.h"
#include "http/speed_window.h"
#include "sink/report_text.h"
#include "sink/scrub.h"
#include "sink/sink.h"
#include "sink/upload_body.h"

#define THREADS 4
#define QUEUE_MAX 64
#define CONNECT_TIMEOUT_S 10L
#define CLEANING_TIMEOUT_S 20L /* for the removal of a temporary file */
#define WINDOW_DEFAULT_NS (60 * NS_PER_S)
#define MIN_SPEED_DEFAULT 1024		  /* bytes a second */
#define UPLOAD_BUFFER_BYTES (256 * 1024L) /* libssh2 sends that much before it waits for the server */
#define COMPARE_BYTES 16384
#define PATH_BYTES_MAX (64 * 1024)
#define BASE_MAX 200 /* bytes of a file's name in its temporary name */
#define FILE_MODE 0640L
#define DIRECTORY_MODE 0750L

#define NAME_TAKEN "another file has this name: "
#define MAY_BE_THERE "the whole file was sent, and may or may not have its name by now"

struct sftp_sink {
	struct sink sink;
	struct offload *offload;
	char *host, *user, *key_file, *known_hosts, *host_key, *path;
	char *address; /* "sftp://host:port/path", for people */
	uint16_t port;
	struct secret *passphrase;
	unsigned generation; /* of the passphrase, for which `scrub` is complete */
	struct scrub scrub;  /* loop thread */
	long timeout_ms;
	uint64_t min_speed, window_ns;
};

struct sink_attempt {
	struct offload_task task;
	const struct sftp_sink *sftp;
	struct buffer path, temporary; /* on the server */
	char *passphrase;
	pthread_mutex_t lock;  /* guards the members below, up to `outcome` */
	bool cancelled, ended; /* cancelled: no answer is wanted, and the stream is closed; ended: set by the thread */
	struct upload_body body;     /* sent, or compared with what is there */
	struct sink_outcome outcome; /* written by the thread until `ended` */
	/* The thread's own. */
	struct speed_window speed;
	uint64_t next_sample_ns;
	int socket;
	bool socket_known, too_slow, differs;
	char error[CURL_ERROR_SIZE];
	sink_attempt_done done;
	void *ctx;
};

/* --- on the pool's threads --- */

/* Called by libcurl for bytes to send. */
static size_t read_bytes(char *into, size_t size, size_t count, void *ctx)
{
	struct sink_attempt *attempt = ctx;
	size_t got = CURL_READFUNC_ABORT;

	if (!attempt->socket_known)
		own_traffic_add(attempt->socket);
	attempt->socket_known = true;
	pthread_mutex_lock(&attempt->lock);
	if (!attempt->cancelled)
		got = upload_body_read(into, size, count, &attempt->body);
	pthread_mutex_unlock(&attempt->lock);
	return got;
}

static int seek_bytes(void *ctx, curl_off_t offset, int origin)
{
	struct sink_attempt *attempt = ctx;
	int r = CURL_SEEKFUNC_FAIL;

	pthread_mutex_lock(&attempt->lock);
	if (!attempt->cancelled)
		r = upload_body_seek(&attempt->body, offset, origin);
	pthread_mutex_unlock(&attempt->lock);
	return r;
}

/* Called by libcurl with bytes of the file that has the name. A short count ends the transfer. */
static size_t compare_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
	struct sink_attempt *attempt = ctx;
	size_t left = size * count;
	char expected[COMPARE_BYTES];

	while (left > 0) {
		const size_t got = read_bytes(expected, 1, left < sizeof(expected) ? left : sizeof(expected), attempt);

		if (got == CURL_READFUNC_ABORT || got == 0 || memcmp(bytes, expected, got) != 0) {
			attempt->differs = true;
			return 0;
		}
		bytes += got;
		left -= got;
	}
	return size * count;
}

static size_t drop_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
	(void)bytes;
	(void)ctx;
	return size * count;
}

static bool is_cancelled(struct sink_attempt *attempt)
{
	bool cancelled;

	pthread_mutex_lock(&attempt->lock);
	cancelled = attempt->cancelled;
	pthread_mutex_unlock(&attempt->lock);
	return cancelled;
}

/* Called by libcurl all the time, and at least once a second. Not 0: end the transfer. */
static int on_progress(void *ctx, curl_off_t to_receive, curl_off_t received, curl_off_t to_send, curl_off_t sent)
{
	struct sink_attempt *attempt = ctx;
	const uint64_t now_ns = clock_boottime_ns();
	uint64_t recent;

	(void)to_receive;
	(void)to_send;
	if (now_ns >= attempt->next_sample_ns) {
		if (attempt->next_sample_ns)
			attempt->too_slow =
				speed_window_is_slow(&attempt->speed, (uint64_t)sent + (uint64_t)received, &recent);
		attempt->next_sample_ns = now_ns + attempt->speed.window_ns / SPEED_WINDOW_SAMPLES;
	}
	return attempt->too_slow || is_cancelled(attempt);
}

/* Called by libcurl for a socket. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct sink_attempt *attempt = ctx;
	const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	attempt->socket = fd;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int set_connection(struct sink_attempt *attempt, CURL *easy)
{
	const struct sftp_sink *sftp = attempt->sftp;
	int failed = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "sftp") | curl_easy_setopt(easy, CURLOPT_PROXY, "") |
		     curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) | curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) |
		     curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, attempt->error) |
		     curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) |
		     curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, attempt) |
		     curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) |
		     curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress) |
		     curl_easy_setopt(easy, CURLOPT_XFERINFODATA, attempt) |
		     curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S) |
		     curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, sftp->timeout_ms);

	failed |= curl_easy_setopt(easy, CURLOPT_SSH_AUTH_TYPES, (long)CURLSSH_AUTH_PUBLICKEY) |
		  curl_easy_setopt(easy, CURLOPT_SSH_PRIVATE_KEYFILE, sftp->key_file) |
		  curl_easy_setopt(easy, CURLOPT_KEYPASSWD, attempt->passphrase) |
		  curl_easy_setopt(easy, CURLOPT_USERNAME, sftp->user);
	if (*sftp->known_hosts) /* a key that is not in it is refused */
		failed |= curl_easy_setopt(easy, CURLOPT_SSH_KNOWNHOSTS, sftp->known_hosts);
	else
		failed |= curl_easy_setopt(easy, CURLOPT_SSH_HOST_PUBLIC_KEY_SHA256, sftp->host_key);
	return failed;
}

/* Appends a path to a URL. */
static int append_path(struct buffer *url, const char *path)
{
	static const char plain[] = PLAIN_CHARACTERS "/~";
	int r = 0;

	for (; r == 0 && *path; path++)
		r = strchr(plain, *path) ? buffer_append(url, path, 1)
					 : buffer_printf(url, "%%%02X", (unsigned)(unsigned char)*path);
	return r;
}

/* "sftp://host:port/path"; a path that is relative to the user's home directory begins with "~/". */
static int set_url(const struct sink_attempt *attempt, CURL *easy, const char *path)
{
	const struct sftp_sink *sftp = attempt->sftp;
	const bool bare_ipv6 = strchr(sftp->host, ':') && sftp->host[0] != '[';
	cleanup(buffer_deinit) struct buffer url = BUFFER_INIT(4 * PATH_BYTES_MAX);
	int r = buffer_printf(&url, "sftp://%s%s%s:%u%s", bare_ipv6 ? "[" : "", sftp->host, bare_ipv6 ? "]" : "",
			      (unsigned)sftp->port, *path == '/' ? "" : "/~/");

	if (r == 0)
		r = append_path(&url, path);
	return r < 0 ? CURLE_OUT_OF_MEMORY : curl_easy_setopt(easy, CURLOPT_URL, buffer_text(&url));
}

/* Appends a command for the server, with one name or two; its names have no quotes or backslashes
 * (config_rule_sftp_path). */
static int append_command(struct curl_slist **commands, const char *verb, const char *name, const char *to)
{
	cleanup(cleanup_free) char *command = NULL;
	struct curl_slist *longer;

	if (asprintf(&command, "%s \"%s\"%s%s%s", verb, name, to ? " \"" : "", to ? to : "", to ? "\"" : "") < 0)
		command = NULL;
	longer = command ? curl_slist_append(*commands, command) : NULL;
	if (!longer)
		return CURLE_OUT_OF_MEMORY;
	*commands = longer;
	return 0;
}

CLEANUP_DEFINE(easy, CURL, curl_easy_cleanup)
CLEANUP_DEFINE(slist, struct curl_slist, curl_slist_free_all)

/* Begins the attempt's next transfer: speed and error are its own. */
static CURL *new_transfer(struct sink_attempt *attempt)
{
	cleanup(cleanup_easy) CURL *easy = curl_easy_init();

	attempt->error[0] = '\0';
	attempt->speed.samples = 0;
	memset(attempt->speed.sampled, 0, sizeof(attempt->speed.sampled));
	attempt->next_sample_ns = 0;
	return easy && set_connection(attempt, easy) == 0 ? take(easy) : NULL;
}

/* Sends the file and renames it. */
static CURLcode send_file(struct sink_attempt *attempt)
{
	cleanup(cleanup_easy) CURL *easy = new_transfer(attempt);
	cleanup(cleanup_slist) struct curl_slist *commands = NULL;
	const char *temporary = buffer_text(&attempt->temporary), *path = buffer_text(&attempt->path);

	if (!easy || attempt->body.stream.size_bytes > INT64_MAX || set_url(attempt, easy, temporary) != 0 ||
	    append_command(&commands, "rename", temporary, path) != 0 ||
	    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)attempt->body.stream.size_bytes) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_bytes) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_READDATA, attempt) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_bytes) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_SEEKDATA, attempt) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_FTP_CREATE_MISSING_DIRS, (long)CURLFTP_CREATE_DIR) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_NEW_DIRECTORY_PERMS, DIRECTORY_MODE) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_NEW_FILE_PERMS, FILE_MODE) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_POSTQUOTE, commands) != CURLE_OK)
		return CURLE_OUT_OF_MEMORY;
	return curl_easy_perform(easy);
}

/* Removes the temporary file, then reads the one that has the name, if that is of interest. */
static CURLcode clean_up(struct sink_attempt *attempt, bool compare)
{
	cleanup(cleanup_easy) CURL *easy = new_transfer(attempt);
	cleanup(cleanup_slist) struct curl_slist *commands = NULL;
	const char *path = compare ? buffer_text(&attempt->path) : "";

	if (!easy || set_url(attempt, easy, path) != 0 ||
	    append_command(&commands, "*rm", buffer_text(&attempt->temporary), NULL) != 0 ||
	    curl_easy_setopt(easy, CURLOPT_QUOTE, commands) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, compare ? compare_bytes : drop_bytes) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_WRITEDATA, attempt) != CURLE_OK ||
	    (!compare && (curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) != CURLE_OK ||
			  curl_easy_setopt(easy, CURLOPT_TIMEOUT, CLEANING_TIMEOUT_S) != CURLE_OK)))
		return CURLE_OUT_OF_MEMORY;
	return curl_easy_perform(easy);
}

/* Whether the file that has the name has the same bytes. */
static CURLcode compare_file(struct sink_attempt *attempt)
{
	const CURLcode rewound =
		seek_bytes(attempt, 0, SEEK_SET) == CURL_SEEKFUNC_OK ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
	const CURLcode result = rewound == CURLE_OK ? clean_up(attempt, true) : rewound;

	if (result == CURLE_OK && !upload_body_sent_whole(&attempt->body))
		attempt->differs = true;
	return result;
}

/* --- what came of it --- */

static bool is_final(CURLcode result)
{
	static const CURLcode results[] = {
		CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT,	CURLE_NOT_BUILT_IN,
		CURLE_UNKNOWN_OPTION,	    CURLE_READ_ERROR,		CURLE_ABORTED_BY_CALLBACK,
		CURLE_LOGIN_DENIED,	    CURLE_REMOTE_ACCESS_DENIED, CURLE_PEER_FAILED_VERIFICATION,
	};

	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
		if (result == results[i])
			return true;
	return false;
}

static const char *reason_of(const struct sink_attempt *attempt, CURLcode result)
{
	if (attempt->too_slow)
		return "it is too slow (limits.upload_speed): ";
	if (result == CURLE_LOGIN_DENIED)
		return "the server refuses the user or its key: ";
	if (result == CURLE_PEER_FAILED_VERIFICATION)
		return "the server's key is not the one that is configured (known_hosts, host_key_sha256): ";
	if (result == CURLE_QUOTE_ERROR)
		return "the file cannot get its name: ";
	return "";
}

static void fail(struct sink_attempt *attempt, enum sink_verdict verdict, const char *reason, const char *text)
{
	struct error whole;

	error_set(&whole, 0, "%s%s", reason, text);
	attempt->outcome.verdict = verdict;
	report_text_copy(attempt->outcome.error, sizeof(attempt->outcome.error), whole.text);
}

/* "sftp://host[:port]/path". 0 or -ENOMEM. */
static int format_address(const struct sftp_sink *sftp, const char *path, char **address)
{
	const bool bare_ipv6 = strchr(sftp->host, ':') && sftp->host[0] != '[';
	char port[sizeof(":65535")] = "";

	if (sftp->port != 22)
		snprintf(port, sizeof(port), ":%u", (unsigned)sftp->port);
	if (asprintf(address, "sftp://%s%s%s%s%s%s", bare_ipv6 ? "[" : "", sftp->host, bare_ipv6 ? "]" : "", port,
		     *path == '/' ? "" : "/~/", path) >= 0)
		return 0;
	*address = NULL;
	return -ENOMEM;
}

static void succeed(struct sink_attempt *attempt)
{
	cleanup(cleanup_free) char *address = NULL;

	attempt->outcome.verdict = SINK_OK;
	if (format_address(attempt->sftp, buffer_text(&attempt->path), &address) == 0 &&
	    strlen(address) < sizeof(attempt->outcome.url))
		snprintf(attempt->outcome.url, sizeof(attempt->outcome.url), "%s", address);
}

/* The rename failed: is the name taken, and by what? */
static void examine_name(struct sink_attempt *attempt)
{
	char text[sizeof(attempt->error)];
	CURLcode result;

	snprintf(text, sizeof(text), "%s", attempt->error);
	result = compare_file(attempt);
	if (result == CURLE_OK && !attempt->differs)
		succeed(attempt); /* an earlier attempt's, whose answer was lost */
	else if (attempt->differs)
		fail(attempt, SINK_REFUSED, NAME_TAKEN, buffer_text(&attempt->path));
	else if (result == CURLE_REMOTE_FILE_NOT_FOUND)
		fail(attempt, SINK_REFUSED, reason_of(attempt, CURLE_QUOTE_ERROR), text);
	else
		fail(attempt, SINK_RETRY, reason_of(attempt, CURLE_QUOTE_ERROR), text);
}

static void attempt_run(struct offload_task *task)
{
	struct sink_attempt *attempt = container_of(task, struct sink_attempt, task);
	const CURLcode result = is_cancelled(attempt) ? CURLE_ABORTED_BY_CALLBACK : send_file(attempt);

	if (result == CURLE_OK) {
		succeed(attempt);
	} else if (result == CURLE_QUOTE_ERROR) {
		examine_name(attempt);
	} else if (!is_cancelled(attempt)) {
		fail(attempt, is_final(result) && !attempt->too_slow ? SINK_REFUSED : SINK_RETRY,
		     reason_of(attempt, result), attempt->error[0] ? attempt->error : curl_easy_strerror(result));
		if (attempt->body.sent_bytes > 0 && result != CURLE_OPERATION_TIMEDOUT && !attempt->too_slow)
			(void)clean_up(attempt, false);
	}
	pthread_mutex_lock(&attempt->lock);
	attempt->ended = true;
	pthread_mutex_unlock(&attempt->lock);
}

/* --- on the loop --- */

static void free_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void attempt_free(struct sink_attempt *attempt)
{
	upload_body_close(&attempt->body);
	buffer_deinit(&attempt->path);
	buffer_deinit(&attempt->temporary);
	free_text(attempt->passphrase);
	pthread_mutex_destroy(&attempt->lock);
	free(attempt);
}

CLEANUP_DEFINE(attempt, struct sink_attempt, attempt_free)

/* On the loop: the secrets to hide change there. */
static struct sink_outcome scrubbed_outcome(const struct sink_attempt *attempt)
{
	struct sink_outcome outcome = attempt->outcome;

	scrub_put(&attempt->sftp->scrub, outcome.error, sizeof(outcome.error), attempt->outcome.error);
	return outcome;
}

static void attempt_done(struct offload_task *task)
{
	cleanup(cleanup_attempt) struct sink_attempt *attempt = container_of(task, struct sink_attempt, task);
	struct sink_outcome outcome;

	if (attempt->cancelled)
		return;
	upload_body_close(&attempt->body);
	outcome = scrubbed_outcome(attempt);
	attempt->done(attempt->ctx, &outcome);
}

/* "dir/.name.hash.part": another capture of the same name, or another node's, gets another one. */
static int name_temporary(struct sink_attempt *attempt, const struct sink_file *file)
{
	const char *path = buffer_text(&attempt->path), *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

	return buffer_printf(&attempt->temporary, "%.*s.%.*s.%08x%08x.part", (int)(base - path), path, BASE_MAX, base,
			     hash_text(file->capture ? file->capture : ""), hash_text(file->node ? file->node : ""));
}

static int name_file(struct sink_attempt *attempt, const struct sink_file *file)
{
	const struct name_values values = sink_file_names(file);

	attempt->path = (struct buffer)BUFFER_INIT(PATH_BYTES_MAX);
	attempt->temporary = (struct buffer)BUFFER_INIT(PATH_BYTES_MAX);
	if (name_template_expand(attempt->sftp->path, NAME_TEMPLATE_PATH, &values, &attempt->path) < 0)
		return -ENOMEM;
	return name_temporary(attempt, file);
}

/* The passphrase as it is now. */
static const char *take_passphrase(struct sftp_sink *sftp)
{
	const char *passphrase = secret_get(sftp->passphrase);

	if (secret_generation(sftp->passphrase) != sftp->generation && scrub_add(&sftp->scrub, passphrase) == 0)
		sftp->generation = secret_generation(sftp->passphrase);
	return passphrase;
}

static struct sink_attempt *sftp_start(struct sink *sink, const struct sink_file *file, sink_attempt_done done,
				       void *ctx)
{
	struct sftp_sink *sftp = container_of(sink, struct sftp_sink, sink);
	cleanup(cleanup_attempt) struct sink_attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return NULL;
	attempt->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	attempt->task.run = attempt_run;
	attempt->task.done = attempt_done;
	attempt->sftp = sftp;
	attempt->socket = -1;
	attempt->speed = (struct speed_window){.min_speed = sftp->min_speed, .window_ns = sftp->window_ns};
	attempt->done = done;
	attempt->ctx = ctx;
	attempt->passphrase = strdup(take_passphrase(sftp));
	if (!attempt->passphrase || name_file(attempt, file) < 0 || !upload_body_open(&attempt->body, file) ||
	    offload_submit(sftp->offload, &attempt->task) < 0)
		return NULL;
	return take(attempt);
}

static bool sftp_cancel(struct sink *sink, struct sink_attempt *attempt, struct sink_outcome *outcome)
{
	bool ended, sent_whole;

	(void)sink;
	pthread_mutex_lock(&attempt->lock);
	ended = attempt->ended;
	sent_whole = upload_body_sent_whole(&attempt->body);
	attempt->cancelled = true;
	upload_body_close(&attempt->body);
	pthread_mutex_unlock(&attempt->lock);
	if (ended) {
		*outcome = scrubbed_outcome(attempt);
	} else if (sent_whole) {
		outcome->verdict = SINK_RETRY;
		report_text_copy(outcome->error, sizeof(outcome->error), MAY_BE_THERE);
	}
	return ended || sent_whole;
}

/* --- life --- */

static void sftp_free(struct sink *sink)
{
	struct sftp_sink *sftp = container_of(sink, struct sftp_sink, sink);

	if (sftp->offload)
		offload_free(sftp->offload);
	scrub_deinit(&sftp->scrub);
	free(sftp->host);
	free(sftp->user);
	free(sftp->key_file);
	free(sftp->known_hosts);
	free(sftp->host_key);
	free(sftp->path);
	free(sftp->address);
	free(sftp->sink.name);
	free(sftp);
	curl_global_cleanup();
}

static const char *sftp_address(const struct sink *sink)
{
	return container_of(sink, const struct sftp_sink, sink)->address;
}

static const struct sink_class sftp_class = {
	.start = sftp_start,
	.cancel = sftp_cancel,
	.free = sftp_free,
	.address = sftp_address,
};

static int sftp_init(struct sftp_sink *sftp, struct event_base *loop, const struct sftp_sink_options *options)
{
	const char *key = options->host_key_sha256;
	const uint64_t timeout_ms = options->timeout_ns / NS_PER_MS + (options->timeout_ns % NS_PER_MS != 0);

	sftp->offload = offload_new(loop, "sink-sftp", THREADS, QUEUE_MAX);
	sftp->host = strdup(options->host);
	sftp->user = strdup(options->user);
	sftp->key_file = strdup(options->key_file);
	sftp->known_hosts = strdup(options->known_hosts);
	sftp->host_key = strdup(strncmp(key, "SHA256:", 7) == 0 ? key + 7 : key);
	sftp->path = strdup(options->path);
	sftp->port = options->port ? options->port : 22;
	sftp->passphrase = options->passphrase;
	sftp->timeout_ms = timeout_ms > INT32_MAX ? INT32_MAX : (long)timeout_ms;
	sftp->min_speed = options->min_speed ? options->min_speed : MIN_SPEED_DEFAULT;
	sftp->window_ns = options->window_ns ? options->window_ns : WINDOW_DEFAULT_NS;
	if (!sftp->offload || !sftp->host || !sftp->user || !sftp->key_file || !sftp->known_hosts || !sftp->host_key ||
	    !sftp->path || !sftp->sink.name || format_address(sftp, sftp->path, &sftp->address) < 0)
		return -ENOMEM;
	return scrub_add(&sftp->scrub, secret_get(sftp->passphrase));
}

struct sink *sftp_sink_new(struct event_base *loop, const char *name, const struct sftp_sink_options *options)
{
	struct sftp_sink *sftp;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	sftp = calloc(1, sizeof(*sftp));
	if (!sftp) {
		curl_global_cleanup();
		return NULL;
	}
	sftp->sink = (struct sink){.class = &sftp_class, .name = strdup(name)};
	if (sftp_init(sftp, loop, options) == 0)
		return &sftp->sink;
	sftp_free(&sftp->sink);
	return NULL;
}
