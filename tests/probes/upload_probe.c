/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivers files through the sinks without a daemon; system tests run it against their own CloudShark or Redis.
 *
 *     upload_probe [options] FILE        delivers FILE (as FILE's base name)
 *     upload_probe [options] --size N    delivers a pcap file of about N bytes, generated while it is read
 *
 * Prints one JSON line per finished delivery and one at the end. SIGTERM abandons running deliveries.
 */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/secret.h"
#include "redis/connection/redis_options.h"
#include "sink/cloudshark_sink.h"
#include "sink/delivery.h"
#include "sink/directory_quota.h"
#include "sink/directory_sink.h"
#include "sink/http_sink.h"
#include "sink/redis_sink.h"
#include "sink/s3/s3_sink.h"
#include "sink/sftp_sink.h"

#define FILES_MAX 256
#define SENTINELS_MAX 8
#define HEADERS_MAX 16
#define PCAP_HEADER 24
#define RECORD 65536 /* bytes of a generated record, its 16-byte header included */

struct options {
	struct cloudshark_sink_options cloudshark;
	struct redis_options redis; /* port 0: no such sink */
	struct redis_sink_options redis_file;
	struct s3_sink_options s3; /* no bucket: no such sink */
	const char *s3_secret, *s3_token;
	struct sink_overrides overrides;
	char *sentinels[SENTINELS_MAX];
	struct http_sink_options http; /* without its secrets */
	struct sftp_sink_options sftp; /* without its secret; host NULL: no such sink */
	const char *passphrase;
	const char *http_url, *http_url_file, *http_token, *http_password; /* http_url NULL: no such sink */
	char *http_headers[HEADERS_MAX], *http_forms[HEADERS_MAX];
	struct delivery_options delivery;
	const char *directory, *tags, *comment, *customer, *filter, *path;
	uint64_t generated_records; /* 0: a real file */
	unsigned files;
};

struct probe {
	struct options options;
	struct event_base *loop;
	struct deliveries *deliveries;
	struct secret *secrets[4];
	struct secret *s3_secret, *s3_token;
	uint8_t *content;
	uint64_t size;
	struct upload *uploads;
	unsigned unfinished;
};

struct upload {
	struct probe *probe;
	struct sink_file file;
	struct delivery *delivery;
	char name[256], capture[32];
	unsigned opens, closes;
};

/* One open stream of an upload. */
struct reader {
	const struct probe *probe;
	uint64_t at;
};

/* --- the file --- */

static uint8_t generated_byte(uint64_t at)
{
	static const uint8_t file_header[PCAP_HEADER] = {0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0,
							 0,    0,    0,	   0,	 0, 0, 4, 0, 1, 0, 0, 0};
	static const uint8_t record_header[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0xff, 0, 0, 0xf0, 0xff, 0, 0};
	uint64_t in_record = (at - PCAP_HEADER) % RECORD;

	if (at < PCAP_HEADER)
		return file_header[at];
	return in_record < sizeof(record_header) ? record_header[in_record] : (uint8_t)(at / RECORD + at);
}

static size_t reader_read(void *ctx, uint8_t *into, size_t room)
{
	struct reader *reader = ctx;
	uint64_t left = reader->probe->size - reader->at;
	size_t count = left < room ? (size_t)left : room;

	if (reader->probe->content && count)
		memcpy(into, reader->probe->content + reader->at, count);
	else
		for (size_t i = 0; i < count; i++)
			into[i] = generated_byte(reader->at + i);
	reader->at += count;
	return count;
}

static void reader_rewind(void *ctx)
{
	((struct reader *)ctx)->at = 0;
}

static bool upload_open(void *ctx, struct byte_stream *stream)
{
	struct upload *upload = ctx;
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return false;
	upload->opens++;
	reader->probe = upload->probe;
	*stream = (struct byte_stream){.size_bytes = upload->probe->size,
				       .read = reader_read,
				       .rewind = reader_rewind,
				       .ctx = reader};
	return true;
}

static void upload_close(void *ctx, struct byte_stream *stream)
{
	struct upload *upload = ctx;

	upload->closes++;
	free(stream->ctx);
}

static int read_whole_file(struct probe *probe, const char *path)
{
	cleanup(cleanup_fclose) FILE *file = fopen(path, "rb");
	long size;

	if (!file || fseek(file, 0, SEEK_END) < 0 || (size = ftell(file)) < 0)
		return -errno;
	rewind(file);
	probe->size = (uint64_t)size;
	probe->content = malloc(probe->size + 1);
	if (!probe->content || fread(probe->content, 1, probe->size, file) != probe->size)
		return -EIO;
	return 0;
}

/* --- deliveries --- */

static void print_line(json_t *line)
{
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

static void upload_done(void *ctx, const struct delivery_result *results, size_t count)
{
	struct upload *upload = ctx;
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list,
				      json_pack("{s:s,s:b,s:s?,s:s?,s:i,s:s*}", "name", results[i].name, "ok",
						results[i].ok, "url", results[i].url, "error", results[i].error,
						"attempts", (int)results[i].attempts, "warning", results[i].warning));
	upload->delivery = NULL;
	print_line(json_pack("{s:s,s:o,s:i,s:i}", "file", upload->name, "results", list, "opens", (int)upload->opens,
			     "closes", (int)upload->closes));
	if (--upload->probe->unfinished == 0)
		event_base_loopbreak(upload->probe->loop);
}

static void on_sigterm(evutil_socket_t signal_number, short events, void *ctx)
{
	struct probe *probe = ctx;

	(void)signal_number;
	(void)events;
	for (unsigned i = 0; i < probe->options.files; i++)
		if (probe->uploads[i].delivery)
			delivery_abandon(probe->uploads[i].delivery, "shutting down");
}

static int start_uploads(struct probe *probe)
{
	const struct options *options = &probe->options;
	const char *name = options->path ? options->path : "made.pcap";

	name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	probe->unfinished = options->files;
	for (unsigned i = 0; i < options->files; i++) {
		struct upload *upload = &probe->uploads[i];

		upload->probe = probe;
		snprintf(upload->capture, sizeof(upload->capture), "probe.%u", i + 1);
		if (i == 0)
			snprintf(upload->name, sizeof(upload->name), "%s", name);
		else
			snprintf(upload->name, sizeof(upload->name), "%u-%s", i, name);
		upload->file = (struct sink_file){.name = upload->name,
						  .tags = options->tags,
						  .comment = options->comment,
						  .customer = options->customer,
						  .filter = options->filter,
						  .id = "probe",
						  .capture = upload->capture,
						  .node = "n1",
						  .interface = "eth0",
						  .time_ns = UINT64_C(1795423260123000000),
						  .overrides = options->overrides,
						  .ctx = upload,
						  .open = upload_open,
						  .close = upload_close};
		upload->delivery = delivery_start(probe->deliveries, &upload->file, NULL, upload_done, upload);
		if (!upload->delivery)
			return -ENOMEM;
	}
	return 0;
}

/* The text of a file; anything goes. */
static int read_secret(const void *ctx, const char *path, char *text, struct error *err)
{
	cleanup(cleanup_fclose) FILE *file = fopen(path, "re");

	(void)ctx;
	if (!file || !fgets(text, SECRET_ROOM, file))
		return error_set(err, -EIO, "%s: cannot be read", path);
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static struct sink *make_http(struct probe *probe)
{
	struct options *options = &probe->options;

	options->http.url = secret_new(options->http_url, options->http_url_file, read_secret, NULL);
	options->http.token = secret_new(options->http_token, NULL, NULL, NULL);
	options->http.password = secret_new(options->http_password, NULL, NULL, NULL);
	probe->secrets[0] = options->http.url;
	probe->secrets[1] = options->http.token;
	probe->secrets[2] = options->http.password;
	options->http.headers = options->http_headers;
	options->http.forms = options->http_forms;
	options->http.verify = options->cloudshark.verify;
	options->http.ca_file = options->cloudshark.ca_file;
	options->http.timeout_ns = options->cloudshark.timeout_ns;
	options->http.window_ns = options->cloudshark.window_ns;
	return http_sink_new(probe->loop, "http", &options->http);
}

static struct sink *make_sftp(struct probe *probe)
{
	struct options *options = &probe->options;

	options->sftp.passphrase = secret_new(options->passphrase, NULL, NULL, NULL);
	probe->secrets[3] = options->sftp.passphrase;
	options->sftp.timeout_ns = options->cloudshark.timeout_ns;
	options->sftp.window_ns = options->cloudshark.window_ns;
	return sftp_sink_new(probe->loop, "sftp", &options->sftp);
}

static struct sink *make_s3(struct probe *probe)
{
	struct s3_sink_options *options = &probe->options.s3;

	options->access_key = probe->s3_secret = secret_new(probe->options.s3_secret, NULL, NULL, NULL);
	options->session_token = probe->s3_token = secret_new(probe->options.s3_token, NULL, NULL, NULL);
	options->verify = probe->options.cloudshark.verify;
	options->ca_file = probe->options.cloudshark.ca_file;
	options->window_ns = probe->options.cloudshark.window_ns;
	options->backoff_ns = probe->options.delivery.first_backoff_ns;
	return probe->s3_secret && probe->s3_token ? s3_sink_new(probe->loop, "s3", options) : NULL;
}

static int make_deliveries(struct probe *probe)
{
	struct sink *sinks[6];
	size_t count = 0;

	if (probe->options.cloudshark.host &&
	    !(sinks[count++] = cloudshark_sink_new(probe->loop, "cloudshark", &probe->options.cloudshark)))
		return -ENOMEM;
	if (probe->options.directory &&
	    !(sinks[count++] = directory_sink_new(probe->loop, "local", probe->options.directory,
						  &(struct directory_quota_options){.name_prefix = "node-"})))
		return -ENOMEM;
	if (probe->options.s3.bucket && !(sinks[count++] = make_s3(probe)))
		return -ENOMEM;
	if (probe->options.redis.port &&
	    !(sinks[count++] = redis_sink_new(probe->loop, "redis", &probe->options.redis, &probe->options.redis_file)))
		return -ENOMEM;
	if (probe->options.sftp.host && !(sinks[count++] = make_sftp(probe)))
		return -ENOMEM;
	if (probe->options.http_url && !(sinks[count++] = make_http(probe)))
		return -ENOMEM;
	probe->deliveries = deliveries_new(probe->loop, &probe->options.delivery, sinks, count);
	return probe->deliveries ? 0 : -ENOMEM;
}

/* --- the program --- */

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || end == text) {
		fprintf(stderr, "upload_probe: %s is not a number\n", text);
		exit(2);
	}
	return value;
}

enum choice {
	SCHEME = 1,
	HOST,
	PORT,
	TOKEN,
	TIMEOUT_MS,
	STALL_S,
	CA_FILE,
	NO_VERIFY,
	DIRECTORY,
	ATTEMPTS,
	FIRST_BACKOFF_MS,
	MAX_BACKOFF_MS,
	COPY_WAIT_MS,
	GIVE_UP_S,
	PARALLEL,
	FILES,
	TAGS,
	COMMENT,
	CUSTOMER,
	CUSTOMER_TOKENS,
	PUBLIC_URL,
	FILTER,
	SIZE,
	REDIS_PORT,
	REDIS_SIZE,
	REDIS_TTL_S,
	REDIS_HELD,
	SENTINEL,
	MASTER,
	HTTP_URL,
	HTTP_URL_FILE,
	HTTP_POST,
	HTTP_FORM_FIELD,
	HTTP_FORM,
	HTTP_HEADER,
	HTTP_TOKEN,
	HTTP_USERNAME,
	HTTP_PASSWORD,
	CERT_FILE,
	KEY_FILE,
	SFTP_HOST,
	SFTP_PORT,
	SFTP_USER,
	SFTP_KEY,
	SFTP_PASSPHRASE,
	SFTP_KNOWN_HOSTS,
	SFTP_HOST_KEY,
	SFTP_PATH,
	S3_ENDPOINT,
	S3_REGION,
	S3_BUCKET,
	S3_FOLDER,
	S3_ACL,
	S3_ENCRYPTION,
	S3_KMS_KEY,
	S3_ID,
	S3_SECRET,
	S3_TOKEN,
	S3_HOST_STYLE,
	S3_ALLOW,
	S3_SET
};

static const struct option option_table[] = {{"scheme", required_argument, NULL, SCHEME},
					     {"host", required_argument, NULL, HOST},
					     {"port", required_argument, NULL, PORT},
					     {"token", required_argument, NULL, TOKEN},
					     {"timeout-ms", required_argument, NULL, TIMEOUT_MS},
					     {"stall-s", required_argument, NULL, STALL_S},
					     {"ca-file", required_argument, NULL, CA_FILE},
					     {"no-verify", no_argument, NULL, NO_VERIFY},
					     {"directory", required_argument, NULL, DIRECTORY},
					     {"attempts", required_argument, NULL, ATTEMPTS},
					     {"first-backoff-ms", required_argument, NULL, FIRST_BACKOFF_MS},
					     {"max-backoff-ms", required_argument, NULL, MAX_BACKOFF_MS},
					     {"give-up-s", required_argument, NULL, GIVE_UP_S},
					     {"copy-wait-ms", required_argument, NULL, COPY_WAIT_MS},
					     {"parallel", required_argument, NULL, PARALLEL},
					     {"files", required_argument, NULL, FILES},
					     {"tags", required_argument, NULL, TAGS},
					     {"comment", required_argument, NULL, COMMENT},
					     {"customer", required_argument, NULL, CUSTOMER},
					     {"customer-tokens", required_argument, NULL, CUSTOMER_TOKENS},
					     {"public-url", required_argument, NULL, PUBLIC_URL},
					     {"filter", required_argument, NULL, FILTER},
					     {"size", required_argument, NULL, SIZE},
					     {"redis-port", required_argument, NULL, REDIS_PORT},
					     {"redis-size", required_argument, NULL, REDIS_SIZE},
					     {"redis-ttl-s", required_argument, NULL, REDIS_TTL_S},
					     {"redis-held", required_argument, NULL, REDIS_HELD},
					     {"sentinel", required_argument, NULL, SENTINEL},
					     {"master", required_argument, NULL, MASTER},
					     {"http-url", required_argument, NULL, HTTP_URL},
					     {"http-url-file", required_argument, NULL, HTTP_URL_FILE},
					     {"http-post", no_argument, NULL, HTTP_POST},
					     {"http-form-field", required_argument, NULL, HTTP_FORM_FIELD},
					     {"http-form", required_argument, NULL, HTTP_FORM},
					     {"http-header", required_argument, NULL, HTTP_HEADER},
					     {"http-token", required_argument, NULL, HTTP_TOKEN},
					     {"http-username", required_argument, NULL, HTTP_USERNAME},
					     {"http-password", required_argument, NULL, HTTP_PASSWORD},
					     {"cert-file", required_argument, NULL, CERT_FILE},
					     {"key-file", required_argument, NULL, KEY_FILE},
					     {"sftp-host", required_argument, NULL, SFTP_HOST},
					     {"sftp-port", required_argument, NULL, SFTP_PORT},
					     {"sftp-user", required_argument, NULL, SFTP_USER},
					     {"sftp-key", required_argument, NULL, SFTP_KEY},
					     {"sftp-passphrase", required_argument, NULL, SFTP_PASSPHRASE},
					     {"sftp-known-hosts", required_argument, NULL, SFTP_KNOWN_HOSTS},
					     {"sftp-host-key", required_argument, NULL, SFTP_HOST_KEY},
					     {"sftp-path", required_argument, NULL, SFTP_PATH},
					     {"s3-endpoint", required_argument, NULL, S3_ENDPOINT},
					     {"s3-region", required_argument, NULL, S3_REGION},
					     {"s3-bucket", required_argument, NULL, S3_BUCKET},
					     {"s3-folder", required_argument, NULL, S3_FOLDER},
					     {"s3-acl", required_argument, NULL, S3_ACL},
					     {"s3-encryption", required_argument, NULL, S3_ENCRYPTION},
					     {"s3-kms-key", required_argument, NULL, S3_KMS_KEY},
					     {"s3-id", required_argument, NULL, S3_ID},
					     {"s3-secret", required_argument, NULL, S3_SECRET},
					     {"s3-token", required_argument, NULL, S3_TOKEN},
					     {"s3-host-style", no_argument, NULL, S3_HOST_STYLE},
					     {"s3-allow", required_argument, NULL, S3_ALLOW},
					     {"s3-set-folder", required_argument, NULL, S3_SET},
					     {0}};

static bool add(char *list[HEADERS_MAX], size_t *count)
{
	if (*count == HEADERS_MAX)
		return false;
	list[(*count)++] = optarg;
	return true;
}

static bool take_option(struct options *options, int choice)
{
	/* clang-format off */
	switch ((enum choice)choice) {
	case SCHEME: options->cloudshark.scheme = optarg; break;
	case HOST: options->cloudshark.host = optarg; break;
	case PORT: options->cloudshark.port = (uint16_t)number(optarg); break;
	case TOKEN: options->cloudshark.token = optarg; break;
	case TIMEOUT_MS: options->cloudshark.timeout_ns = number(optarg) * NS_PER_MS; break;
	case STALL_S: options->cloudshark.window_ns = number(optarg) * NS_PER_S; break;
	case CA_FILE: options->cloudshark.ca_file = optarg; break;
	case NO_VERIFY: options->cloudshark.verify = false; break;
	case DIRECTORY: options->directory = optarg; break;
	case ATTEMPTS: options->delivery.max_attempts = (unsigned)number(optarg); break;
	case FIRST_BACKOFF_MS: options->delivery.first_backoff_ns = number(optarg) * NS_PER_MS; break;
	case MAX_BACKOFF_MS: options->delivery.max_backoff_ns = number(optarg) * NS_PER_MS; break;
	case GIVE_UP_S: options->delivery.give_up_after_ns = number(optarg) * NS_PER_S; break;
	case COPY_WAIT_MS: options->delivery.copy_wait_ns = number(optarg) * NS_PER_MS; break;
	case PARALLEL: options->delivery.parallel = (unsigned)number(optarg); break;
	case FILES: options->files = (unsigned)number(optarg); break;
	case TAGS: options->tags = optarg; break;
	case COMMENT: options->comment = optarg; break;
	case CUSTOMER: options->customer = optarg; break;
	case CUSTOMER_TOKENS: options->cloudshark.customers = secret_new(optarg, NULL, NULL, NULL); break;
	case PUBLIC_URL: options->cloudshark.public_url = optarg; break;
	case FILTER: options->filter = optarg; options->cloudshark.filter_links = true; break;
	case SIZE: options->generated_records = number(optarg) / RECORD + 1; break;
	case REDIS_PORT: options->redis.port = (uint16_t)number(optarg); break;
	case REDIS_SIZE: options->redis_file.bytes_max = number(optarg); break;
	case REDIS_HELD: options->redis_file.held_bytes_max = number(optarg); break;
	case REDIS_TTL_S: options->redis_file.ttl_ns = number(optarg) * NS_PER_S; break;
	case SENTINEL:
		if (options->redis.sentinel_count == SENTINELS_MAX)
			return false;
		options->sentinels[options->redis.sentinel_count++] = optarg;
		break;
	case MASTER: options->redis.master = optarg; break;
	case HTTP_URL: options->http_url = optarg; break;
	case HTTP_URL_FILE: options->http_url_file = optarg; break;
	case HTTP_POST: options->http.post = true; break;
	case HTTP_FORM_FIELD: options->http.form_field = optarg; break;
	case HTTP_FORM: return add(options->http_forms, &options->http.form_count);
	case HTTP_HEADER: return add(options->http_headers, &options->http.header_count);
	case HTTP_TOKEN: options->http_token = optarg; break;
	case HTTP_USERNAME: options->http.username = optarg; break;
	case HTTP_PASSWORD: options->http_password = optarg; break;
	case CERT_FILE: options->http.cert_file = optarg; break;
	case KEY_FILE: options->http.key_file = optarg; break;
	case SFTP_HOST: options->sftp.host = optarg; break;
	case SFTP_PORT: options->sftp.port = (uint16_t)number(optarg); break;
	case SFTP_USER: options->sftp.user = optarg; break;
	case SFTP_KEY: options->sftp.key_file = optarg; break;
	case SFTP_PASSPHRASE: options->passphrase = optarg; break;
	case SFTP_KNOWN_HOSTS: options->sftp.known_hosts = optarg; break;
	case SFTP_HOST_KEY: options->sftp.host_key_sha256 = optarg; break;
	case SFTP_PATH: options->sftp.path = optarg; break;
	case S3_ENDPOINT: options->s3.endpoint = optarg; break;
	case S3_REGION: options->s3.region = optarg; break;
	case S3_BUCKET: options->s3.bucket = optarg; break;
	case S3_FOLDER: options->s3.folder = optarg; break;
	case S3_ACL: options->s3.acl = optarg; break;
	case S3_ENCRYPTION: options->s3.encryption = optarg; break;
	case S3_KMS_KEY: options->s3.kms_key = optarg; break;
	case S3_ID: options->s3.access_id = optarg; break;
	case S3_SECRET: options->s3_secret = optarg; break;
	case S3_TOKEN: options->s3_token = optarg; break;
	case S3_HOST_STYLE: options->s3.style = S3_STYLE_HOST; break;
	case S3_ALLOW: options->s3.overrides |= s3_overrides(&optarg, 1); break;
	case S3_SET: options->overrides.folder = optarg; break;
	default: return false;
	}
	/* clang-format on */
	return true;
}

static bool parse_options(struct options *options, int argc, char **argv)
{
	int choice;

	*options = (struct options){
		.cloudshark = {.scheme = "https", .verify = true},
		.redis = {.host = "127.0.0.1", .cluster = true},
		.redis_file = {.channel = "capture", .node = "n1", .bytes_max = 64u << 20, .ttl_ns = 3600 * NS_PER_S},
		.sftp = {.user = "", .key_file = "", .known_hosts = "", .host_key_sha256 = "", .path = "{name}"},
		.passphrase = "",
		.http = {.username = "", .form_field = ""},
		.http_token = "",
		.http_password = "",
		.s3_secret = "",
		.s3_token = "",
		.tags = "",
		.files = 1,
	};
	options->redis.sentinels = options->sentinels;
	while ((choice = getopt_long(argc, argv, "", option_table, NULL)) != -1)
		if (!take_option(options, choice))
			return false;
	if (optind < argc)
		options->path = argv[optind];
	return (options->path != NULL) == (options->generated_records == 0) && options->files > 0 &&
	       options->files <= FILES_MAX &&
	       (options->cloudshark.host || options->directory || options->redis.port || options->http_url ||
		options->sftp.host || options->s3.bucket);
}

static int probe_run(struct probe *probe)
{
	cleanup(cleanup_free) struct upload *uploads = calloc(probe->options.files, sizeof(*uploads));
	struct event *sigterm = evsignal_new(probe->loop, SIGTERM, on_sigterm, probe);
	int r;

	if (!uploads || !sigterm || event_add(sigterm, NULL) < 0)
		return -ENOMEM;
	probe->uploads = uploads;
	r = make_deliveries(probe);
	if (r == 0)
		r = start_uploads(probe);
	if (r == 0)
		event_base_dispatch(probe->loop);
	deliveries_free(probe->deliveries);
	for (size_t i = 0; i < sizeof(probe->secrets) / sizeof(*probe->secrets); i++)
		secret_free(probe->secrets[i]);
	secret_free(probe->s3_secret);
	secret_free(probe->s3_token);
	event_free(sigterm);
	return r;
}

/* This program's own peak memory; ru_maxrss also covers the process before exec(2), a test runner of any size. */
static long peak_rss_kib(void)
{
	char line[128];
	long kib = -1;
	FILE *status = fopen("/proc/self/status", "re");

	while (status && kib < 0 && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "VmHWM: %ld", &kib) != 1)
			kib = -1;
	}
	if (status)
		fclose(status);
	return kib;
}

int main(int argc, char **argv)
{
	struct probe probe = {0};
	int r = 0;

	if (!parse_options(&probe.options, argc, argv)) {
		fprintf(stderr, "usage: upload_probe [options] FILE | --size N\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	probe.size = PCAP_HEADER + probe.options.generated_records * RECORD;
	if (probe.options.path)
		r = read_whole_file(&probe, probe.options.path);
	probe.loop = event_base_new();
	if (r == 0)
		r = probe.loop ? probe_run(&probe) : -ENOMEM;
	if (r < 0)
		fprintf(stderr, "upload_probe: %s\n", strerror(-r));
	print_line(json_pack("{s:i,s:I}", "exit", r, "peak_rss_kib", (json_int_t)peak_rss_kib()));
	if (probe.loop)
		event_base_free(probe.loop);
	free(probe.content);
	secret_free(probe.options.cloudshark.customers);
	return r < 0;
}
